"""The two text towers of Stable Diffusion: sizes, read from the shapes of their tensors, and their two sets of names.

Stable Diffusion 2 has OpenCLIP's ViT-H with packed projections, and stops before its last block; Stable Diffusion 1
has OpenAI's CLIP ViT-L under the names of transformers, and runs all of it. Both normalise what comes out last.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel

from guidance.weights.renaming import Link

HEAD_CHANNELS = 64
BLOCK = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}


@dataclass(frozen=True)
class TextSizes:
    open_clip: bool  # else CLIP under the names of transformers
    width: int
    hidden: int  # width of the perceptron in each block
    layers: int  # blocks that are run
    vocabulary: int
    length: int  # tokens of a sentence

    SPARE: ClassVar[tuple[str, ...]] = ("",)  # beginnings of names that ours does without: any, as of the last block

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> TextSizes:
        """From original names, without prefix. KeyError names a tensor that is not there."""
        open_clip = any(name.startswith("transformer.resblocks.") for name in tensors)
        block = r"transformer\.resblocks\.(\d+)\." if open_clip else r"encoder\.layers\.(\d+)\."
        n_blocks = 1 + max((int(m[1]) for name in tensors if (m := re.match(block, name))), default=0)
        tokens = tensors["token_embedding.weight" if open_clip else "embeddings.token_embedding.weight"]
        positions = tensors["positional_embedding" if open_clip else "embeddings.position_embedding.weight"]
        perceptron = "transformer.resblocks.0.mlp.c_fc.weight" if open_clip else "encoder.layers.0.mlp.fc1.weight"
        return cls(
            open_clip=open_clip,
            width=tokens.shape[1],
            hidden=tensors[perceptron].shape[0],
            layers=n_blocks - 1 if open_clip else n_blocks,
            vocabulary=tokens.shape[0],
            length=positions.shape[0],
        )

    def build(self) -> CLIPTextModel:
        return CLIPTextModel(
            CLIPTextConfig(
                vocab_size=self.vocabulary,
                hidden_size=self.width,
                intermediate_size=self.hidden,
                num_hidden_layers=self.layers,
                num_attention_heads=self.width // HEAD_CHANNELS,
                max_position_embeddings=self.length,
                hidden_act="gelu" if self.open_clip else "quick_gelu",
                bos_token_id=self.vocabulary - 2,
                eos_token_id=self.vocabulary - 1,
                pad_token_id=0 if self.open_clip else self.vocabulary - 1,
            )
        )

    def links(self) -> Iterator[Link]:
        """Of the blocks that are run: what is not stays with the rest."""
        if not self.open_clip:
            for name in ("embeddings.token_embedding", "embeddings.position_embedding", "final_layer_norm"):
                yield Link(name, (name,))
            yield from (Link(f"encoder.layers.{i}", (f"encoder.layers.{i}",)) for i in range(self.layers))
            return
        yield Link("token_embedding", ("embeddings.token_embedding",))
        yield Link("positional_embedding", ("embeddings.position_embedding.weight",))
        yield Link("ln_final", ("final_layer_norm",))
        for i in range(self.layers):
            block, ours = f"transformer.resblocks.{i}", f"encoder.layers.{i}"
            yield from (Link(f"{block}.{theirs}", (f"{ours}.{name}",)) for theirs, name in BLOCK.items())
            for kind in ("weight", "bias"):
                parts = tuple(f"{ours}.self_attn.{part}_proj.{kind}" for part in "qkv")
                yield Link(f"{block}.attn.in_proj_{kind}", parts)
