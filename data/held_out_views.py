"""Pictures of the toys that training never sees, to measure what it has learned."""

from __future__ import annotations

import torch

from data.toy_views import ToyBatch, ToyViews
from data.toybox.captions import parse
from data.toybox.split import held_out


class HeldOutViews:
    """Draws as `views` does, but the held-out combinations alone, each as often as another."""

    def __init__(self, views: ToyViews) -> None:
        self.views, self.n_view = views, views.n_view

    @property
    def settings(self) -> tuple[object, ...]:
        return "held out", *self.views.settings

    def draw(self, n_objects: int, rng: torch.Generator) -> ToyBatch:
        captions = held_out(self.views.kinds)
        cameras = self.views.sampler.draw(n_objects * self.n_view, rng)
        toys = [parse(captions[i]) for i in torch.randint(len(captions), (n_objects,), generator=rng).tolist()]
        return self.views.show(toys, cameras, rng)
