"""Rendered toys as training data: captioned pictures with their cameras, drawn from an explicit generator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from data.cameras import Cameras
from data.samplers import CameraSampler
from data.toybox.body import draw_style
from data.toybox.grammar import KINDS, Toy, build
from data.toybox.raycast import render
from data.toybox.split import draw_training_toy


@dataclass(frozen=True)
class ToyBatch:
    """b = objects x views, view fastest; a toy's caption is drawn when it is needed, since it has many."""

    toys: list[Toy]  # one per object
    images: Float[Tensor, "b h w 3"]
    cameras: Cameras


class ToyViews:
    """Draws toys of the first `n_kinds` kinds, never a held-out combination, and `n_view` pictures of each."""

    def __init__(self, sampler: CameraSampler, n_view: int = 4, n_kinds: int = 12, variation: float = 0.06):
        self.sampler, self.n_view, self.variation = sampler, n_view, variation
        self.kinds: Sequence[str] = list(KINDS)[:n_kinds]

    def draw(self, n_objects: int, rng: torch.Generator) -> ToyBatch:
        cameras = self.sampler.draw(n_objects * self.n_view, rng)
        toys = [draw_training_toy(rng, self.kinds) for _ in range(n_objects)]
        views = [slice(i * self.n_view, (i + 1) * self.n_view) for i in range(n_objects)]
        images = [
            render(build(toy, draw_style(rng, self.variation)), cameras[view])[..., :3]
            for toy, view in zip(toys, views, strict=True)
        ]
        return ToyBatch(toys, torch.cat(images), cameras)
