"""The autoencoder of Stable Diffusion: its sizes, read from the shapes of its tensors, and its two sets of names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from diffusers import AutoencoderKL
from torch import Tensor

from guidance.weights.renaming import Link

SCALING = 0.18215  # of latents, to about unit variance; in no file, but in the original's configuration
RESBLOCK = {"norm1": "norm1", "conv1": "conv1", "norm2": "norm2", "conv2": "conv2", "nin_shortcut": "conv_shortcut"}
ATTENTION = {"q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"}


@dataclass(frozen=True)
class VAESizes:
    channels: tuple[int, ...]  # of each level
    layers: int  # ResBlocks of a level of the encoder; one more in the decoder
    latent: int  # channels of a latent

    SPARE: ClassVar[tuple[str, ...]] = (
        "loss.",
    )  # beginnings of names that ours does without: its training's discriminator

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> VAESizes:
        """From original names, without prefix. KeyError names a tensor that is not there."""
        found = [m for name in tensors if (m := re.match(r"encoder\.down\.(\d+)\.block\.(\d+)\.", name))]
        levels, layers = (1 + max((int(m[i]) for m in found), default=0) for i in (1, 2))
        return cls(
            channels=tuple(tensors[f"encoder.down.{i}.block.0.conv2.weight"].shape[0] for i in range(levels)),
            layers=layers,
            latent=tensors["post_quant_conv.weight"].shape[0],
        )

    def build(self, image_size: int = 512) -> AutoencoderKL:
        return AutoencoderKL(
            sample_size=image_size,
            block_out_channels=self.channels,
            layers_per_block=self.layers,
            latent_channels=self.latent,
            down_block_types=("DownEncoderBlock2D",) * len(self.channels),
            up_block_types=("UpDecoderBlock2D",) * len(self.channels),
            scaling_factor=SCALING,
        )

    def links(self) -> Iterator[Link]:
        for name in ("quant_conv", "post_quant_conv", "encoder.conv_in", "decoder.conv_in"):
            yield Link(name, (name,))
        for half in ("encoder", "decoder"):
            yield from _ends(half)
        for i in range(levels := len(self.channels)):
            down, up = f"encoder.down_blocks.{i}", f"decoder.up_blocks.{levels - 1 - i}"
            for layer in range(self.layers + 1):
                yield from _resblock(f"decoder.up.{i}.block.{layer}", f"{up}.resnets.{layer}")
                if layer < self.layers:
                    yield from _resblock(f"encoder.down.{i}.block.{layer}", f"{down}.resnets.{layer}")
            yield Link(f"encoder.down.{i}.downsample.conv", (f"{down}.downsamplers.0.conv",))
            yield Link(f"decoder.up.{i}.upsample.conv", (f"{up}.upsamplers.0.conv",))


def _ends(half: str) -> Iterator[Link]:
    """What encoder and decoder both have: the middle, and the last convolution."""
    for i in (0, 1):
        yield from _resblock(f"{half}.mid.block_{i + 1}", f"{half}.mid_block.resnets.{i}")
    yield Link(f"{half}.mid.attn_1.norm", (f"{half}.mid_block.attentions.0.group_norm",))
    for theirs, name in ATTENTION.items():
        yield Link(f"{half}.mid.attn_1.{theirs}", (f"{half}.mid_block.attentions.0.{name}",), pointwise=True)
    yield Link(f"{half}.norm_out", (f"{half}.conv_norm_out",))
    yield Link(f"{half}.conv_out", (f"{half}.conv_out",))


def _resblock(original: str, ours: str) -> Iterator[Link]:
    return (Link(f"{original}.{theirs}", (f"{ours}.{name}",)) for theirs, name in RESBLOCK.items())
