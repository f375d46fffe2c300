"""Rendered toys as training data: captioned pictures with their cameras, drawn from an explicit generator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from data.cameras import Cameras
from data.errors import UserError
from data.ranges import Fraction, NonNegativeFloat, PositiveInt
from data.samplers import CameraSampler
from data.toybox.body import draw_style
from data.toybox.captions import draw_caption
from data.toybox.grammar import KINDS, Toy, build
from data.toybox.raycast import BACKGROUND, LIGHT, render
from data.toybox.split import draw_training_toy


@dataclass(frozen=True)
class ToyBatch:
    """n objects, b = n x views pictures, view fastest."""

    toys: list[Toy]
    colorful: Bool[Tensor, "n"]  # before a random colour, not before grey
    images: Float[Tensor, "b h w 3"]
    cameras: Cameras

    def draw_captions(self, count: int, rng: torch.Generator) -> list[list[str]]:
        """`count` captions of each object: it has many."""
        return [
            [draw_caption(toy, rng, colorful) for _ in range(count)]
            for toy, colorful in zip(self.toys, self.colorful.tolist(), strict=True)
        ]


class ToyViews:
    """Draws toys of the first `n_kinds` kinds, never a held-out combination, and `n_view` pictures of each.

    colorful: the share of the objects that stand before a random colour, which their captions mention.
    relit: the share that is lit from any side, not from the front: whoever learns from them can't tell the front by it.
    """

    def __init__(
        self,
        sampler: CameraSampler,
        n_view: PositiveInt = 4,
        n_kinds: PositiveInt = 12,
        variation: NonNegativeFloat = 0.06,
        colorful: Fraction = 0.5,
        relit: Fraction = 0.0,
    ) -> None:
        if n_view % sampler.n_view:
            raise UserError(
                f"n_view={n_view}: {sampler.n_view} cameras are drawn together; say data.n_view={n_view}, too"
            )
        self.sampler, self.n_view, self.variation = sampler, n_view, variation
        self.colorful, self.relit = colorful, relit
        self.kinds: Sequence[str] = list(KINDS)[:n_kinds]

    @property
    def settings(self) -> tuple[object, ...]:
        return self.kinds, self.variation, self.colorful, self.relit, self.sampler

    def draw(self, n_objects: int, rng: torch.Generator) -> ToyBatch:
        cameras = self.sampler.draw(n_objects * self.n_view, rng)
        return self.show([draw_training_toy(rng, self.kinds) for _ in range(n_objects)], cameras, rng)

    def show(self, toys: list[Toy], cameras: Cameras, rng: torch.Generator) -> ToyBatch:
        """`n_view` pictures of each, which stands and is made as the generator says."""
        n_objects = len(toys)
        views = [slice(i * self.n_view, (i + 1) * self.n_view) for i in range(n_objects)]
        images = [
            render(build(toy, draw_style(rng, self.variation)), cameras[view], light=light)
            for toy, view, light in zip(toys, views, self._lights(n_objects, rng), strict=True)
        ]
        colorful = torch.rand(n_objects, generator=rng) < self.colorful
        background = torch.rand(n_objects, 3, generator=rng)
        background = torch.where(colorful[:, None], background, BACKGROUND).repeat_interleave(self.n_view, dim=0)
        return ToyBatch(toys, colorful, before(torch.cat(images), background), cameras)

    def _lights(self, n_objects: int, rng: torch.Generator) -> list[np.ndarray]:
        """Draws nothing where all are lit from the front."""
        if not self.relit:
            return [LIGHT] * n_objects
        is_turned = torch.rand(n_objects, generator=rng) < self.relit
        turn = (is_turned * torch.rand(n_objects, generator=rng) * 2 * torch.pi).double().numpy()
        x, y, z = LIGHT
        cos, sin = np.cos(turn), np.sin(turn)
        return list(np.stack([x * cos - y * sin, x * sin + y * cos, np.full(n_objects, z)], axis=1))


def before(views: Float[Tensor, "b h w 4"], background: Float[Tensor, "b 3"]) -> Float[Tensor, "b h w 3"]:
    """Exchanges the grey that the toys are rendered over for a colour per picture: c + (1 - a) (background - grey)."""
    color, opacity = views[..., :3], views[..., 3:]
    return color + (1 - opacity) * (background[:, None, None] - BACKGROUND)
