"""The UNet of Stable Diffusion and MVDream: its sizes, read from the shapes of its tensors, and its two sets of names.

The original counts its blocks through (`input_blocks.0` to `.11`); diffusers counts levels and what stands in each.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from guidance.camera_unet import CameraUNet
from guidance.weights.renaming import Link

HEAD_CHANNELS = 64  # of networks with linear projections, Stable Diffusion 2
HEADS = 8  # of networks with convolutions there, Stable Diffusion 1
RESBLOCK = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}


@dataclass(frozen=True)
class UNetSizes:
    in_channels: int
    out_channels: int
    channels: tuple[int, ...]  # of each level
    attends: tuple[bool, ...]  # whether a level has transformers
    layers: int  # ResBlocks of a level on the way down; one more on the way up
    context: int  # channels of a text token
    linear: bool  # projections around a transformer: linear layers, or 1x1 convolutions
    camera: int | None  # numbers that tell a camera; None: a 2D network

    SPARE: ClassVar[tuple[str, ...]] = ()  # beginnings of names that ours does without

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> UNetSizes:
        """From original names, without prefix. KeyError names a tensor that is not there."""
        n_blocks = 1 + max(
            (int(m[1]) for name in tensors if (m := re.match(r"input_blocks\.(\d+)\.", name))), default=0
        )
        stands = lambda module: any(name.startswith(module + ".") for name in tensors)
        levels: list[list[int]] = [[]]
        for i in range(1, n_blocks):
            if stands(f"input_blocks.{i}.0.op"):
                levels.append([])
            else:
                levels[-1].append(i)
        if len({len(level) for level in levels}) != 1 or not levels[0]:
            raise ValueError(
                f"whose UNet has {[len(level) for level in levels]} blocks at its levels, not equally many"
            )
        last_convolutions = [[f"input_blocks.{i}.0.out_layers.3.weight" for i in level] for level in levels]
        present = [next((name for name in names if name in tensors), names[0]) for names in last_convolutions]
        transformer = "middle_block.1"
        return cls(
            in_channels=tensors["input_blocks.0.0.weight"].shape[1],
            out_channels=tensors["out.2.weight"].shape[0],
            channels=tuple(tensors[name].shape[0] for name in present),
            attends=tuple(stands(f"input_blocks.{level[0]}.1") for level in levels),
            layers=len(levels[0]),
            context=tensors[f"{transformer}.transformer_blocks.0.attn2.to_k.weight"].shape[1],
            linear=tensors[f"{transformer}.proj_in.weight"].ndim == 2,
            camera=tensors["camera_embed.0.weight"].shape[1] if stands("camera_embed") else None,
        )

    def build(self, latent_size: int = 64) -> CameraUNet:
        heads = tuple(channels // HEAD_CHANNELS for channels in self.channels) if self.linear else HEADS
        kinds = [("CrossAttn" if attends else "") + "{}Block2D" for attends in self.attends]
        return CameraUNet(
            sample_size=latent_size,
            in_channels=self.in_channels,
            out_channels=self.out_channels,
            block_out_channels=self.channels,
            layers_per_block=self.layers,
            down_block_types=tuple(kind.format("Down") for kind in kinds),
            up_block_types=tuple(kind.format("Up") for kind in reversed(kinds)),
            cross_attention_dim=self.context,
            attention_head_dim=heads,  # diffusers means their number
            use_linear_projection=self.linear,
            class_embed_type="projection" if self.camera else None,
            projection_class_embeddings_input_dim=self.camera,
        )

    def links(self) -> Iterator[Link]:
        for i in (0, 2):
            yield Link(f"time_embed.{i}", (f"time_embedding.linear_{i // 2 + 1}",))
            yield Link(f"camera_embed.{i}", (f"class_embedding.linear_{i // 2 + 1}",))
        yield Link("input_blocks.0.0", ("conv_in",))
        yield from self._down()
        yield from _resblock("middle_block.0", "mid_block.resnets.0")
        yield Link("middle_block.1", ("mid_block.attentions.0",))
        yield from _resblock("middle_block.2", "mid_block.resnets.1")
        yield from self._up()
        yield Link("out.0", ("conv_norm_out",))
        yield Link("out.2", ("conv_out",))

    def _down(self) -> Iterator[Link]:
        block = 1
        for level, attends in enumerate(self.attends):
            for layer in range(self.layers):
                yield from _resblock(f"input_blocks.{block}.0", f"down_blocks.{level}.resnets.{layer}")
                if attends:
                    yield Link(f"input_blocks.{block}.1", (f"down_blocks.{level}.attentions.{layer}",))
                block += 1
            if level < len(self.attends) - 1:
                yield Link(f"input_blocks.{block}.0.op", (f"down_blocks.{level}.downsamplers.0.conv",))
                block += 1

    def _up(self) -> Iterator[Link]:
        block = 0
        for level, attends in enumerate(reversed(self.attends)):
            for layer in range(self.layers + 1):
                yield from _resblock(f"output_blocks.{block}.0", f"up_blocks.{level}.resnets.{layer}")
                if attends:
                    yield Link(f"output_blocks.{block}.1", (f"up_blocks.{level}.attentions.{layer}",))
                block += 1
            if level < len(self.attends) - 1:  # the upsampler comes last in the block of the level's last layer
                upsampler = f"output_blocks.{block - 1}.{2 if attends else 1}.conv"
                yield Link(upsampler, (f"up_blocks.{level}.upsamplers.0.conv",))


def _resblock(original: str, ours: str) -> Iterator[Link]:
    return (Link(f"{original}.{theirs}", (f"{ours}.{name}",)) for theirs, name in RESBLOCK.items())
