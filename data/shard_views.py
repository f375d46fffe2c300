"""Rendered 3D files as training data, in the place of data/toy_views.py or beside it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from data.cameras import Cameras, join
from data.captioned_assets import TRAIN
from data.ranges import Fraction, PositiveInt
from data.rings import groups_around
from data.shards import SeenObject, Shards, resized
from data.toybox.captions import BACKDROP, SUFFIX
from data.toybox.raycast import BACKGROUND


@dataclass(frozen=True)
class ShardBatch:
    """n objects, b = n x views pictures, view fastest."""

    captions: list[list[str]]  # of each object
    colorful: Bool[Tensor, "n"]  # before a random colour, not before grey
    images: Float[Tensor, "b h w 3"]
    cameras: Cameras

    def draw_captions(self, count: int, rng: torch.Generator) -> list[list[str]]:
        """With replacement; two of three say that it is a 3D asset, as those of toys do."""
        choose = lambda options: options[int(torch.randint(len(options), (1,), generator=rng))]
        return [
            [choose(own) + choose((SUFFIX, SUFFIX, "")) + (BACKDROP if colorful else "") for _ in range(count)]
            for own, colorful in zip(self.captions, self.colorful.tolist(), strict=True)
        ]


class ShardViews:
    """Draws objects of one split of the shards in a folder, and `n_view` pictures of each: of more, one of the groups
    that go around it. size: in pixels, a divisor of theirs.

    colorful: the share of the objects that stand before a random colour, which their captions mention.
    """

    def __init__(
        self, path: str, n_view: PositiveInt = 4, size: PositiveInt = 64, colorful: Fraction = 0.5, split: str = TRAIN
    ) -> None:
        self.shards = Shards(path, split, key="shards")
        self.n_view, self.size, self.colorful = n_view, size, colorful

    @property
    def settings(self) -> tuple[object, ...]:
        return self.shards.samples.fingerprint, self.n_view, self.size, self.colorful, self.shards.split

    def draw(self, n_objects: int, rng: torch.Generator) -> ShardBatch:
        index = torch.randint(len(self.shards), (n_objects,), generator=rng).tolist()
        seen = [self._see(i, rng) for i in index]
        colorful = torch.rand(n_objects, generator=rng) < self.colorful
        background = torch.rand(n_objects, 3, generator=rng)
        background = torch.where(colorful[:, None], background, BACKGROUND).repeat_interleave(self.n_view, dim=0)
        images = over(torch.cat([one.images for one in seen]).float() / 255, background)
        return ShardBatch([one.captions for one in seen], colorful, images, join([one.cameras for one in seen]))

    def _see(self, index: int, rng: torch.Generator) -> SeenObject:
        return resized(self.shards.see_chosen(index, lambda cameras: self._group(index, cameras, rng)), self.size)

    def _group(self, index: int, cameras: Cameras, rng: torch.Generator) -> list[int]:
        groups = groups_around(cameras, self.n_view, self.shards.place(index))
        return groups[int(torch.randint(len(groups), (1,), generator=rng))]


def over(views: Float[Tensor, "b h w 4"], background: Float[Tensor, "b 3"]) -> Float[Tensor, "b h w 3"]:
    """A colour for each picture behind what is transparent."""
    color, opacity = views[..., :3], views[..., 3:]
    return opacity * color + (1 - opacity) * background[:, None, None]
