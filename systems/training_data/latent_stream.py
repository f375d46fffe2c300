"""Objects that are rendered or read, and encoded, when a step asks for them: for more of them than memory holds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from data.cameras import Cameras, condition, join
from data.views import ViewBatch, Views
from guidance.autoencoder import Autoencoder
from guidance.tokenizer import Tokenizer
from systems.training_data.ahead import OnDemand, draw_object
from systems.training_data.latent_cache import ALL, LatentBatch, encoded, integers


class LatentStream:
    """In the place of systems.training_data.latent_cache.cached. There are `n_objects`, of which the i-th is what
    `views` draws from (seed, i): any of them can be had at any time, so that what a step draws depends on its
    generator alone.

    path: of no concern, since nothing is kept. workers: processes that draw the objects of a step; 0: this one.
    """

    def __init__(
        self,
        path: Path,
        views: Views,
        autoencoder: Autoencoder,
        tokenizer: Tokenizer,
        n_objects: int,
        seed: int,
        workers: int = 0,
    ) -> None:
        self.n_view, self.n_objects = views.n_view, n_objects
        self.autoencoder, self.tokenizer = autoencoder, tokenizer
        self.objects = OnDemand(partial(draw_object, views, seed), workers)

    def draw_objects(
        self, n_objects: int, rng: torch.Generator, among: int | None = None, wanted: slice = ALL
    ) -> LatentBatch:
        index = integers(min(among or self.n_objects, self.n_objects), n_objects, rng)
        words = integers(2**62, n_objects, rng)
        begin, end, _ = wanted.indices(n_objects * self.n_view)
        part = slice(begin // self.n_view, end // self.n_view)
        drawn = self._objects(index[part])
        images = torch.cat([one.images for one in drawn])
        ids = self._captions(drawn, words[part]).repeat_interleave(self.n_view, dim=0)
        return self._batch(images, join([one.cameras for one in drawn]), ids).within(n_objects * self.n_view, wanted)

    def draw_pictures(self, is_frontal: Bool[Tensor, "b"], rng: torch.Generator, wanted: slice = ALL) -> LatentBatch:
        count = len(is_frontal)
        index, view = integers(self.n_objects, count, rng), integers(self.n_view, count, rng)
        words = integers(2**62, count, rng)
        drawn = self._objects(index[wanted])
        cameras = join([one.cameras for one in drawn])
        frontal = torch.cos(cameras.azimuth).unflatten(0, (-1, self.n_view)).argmax(dim=1)
        chosen = torch.where(is_frontal[wanted].cpu(), frontal, view[wanted].cpu())
        images = torch.stack([one.images[i] for one, i in zip(drawn, chosen.tolist(), strict=True)])
        seen = cameras[torch.arange(len(drawn)) * self.n_view + chosen]
        return self._batch(images, seen, self._captions(drawn, words[wanted])).within(count, wanted)

    def _objects(self, index: Int[Tensor, "n"]) -> list[ViewBatch]:
        """Each is drawn once, even if it is asked for twice, and as precisely as other processes draw it."""
        once, place = index.cpu().unique(return_inverse=True)
        with torch.autocast("cpu", enabled=False):
            drawn = self.objects(once.tolist())
        return [drawn[i] for i in place.tolist()]

    def _captions(self, drawn: Sequence[ViewBatch], words: Int[Tensor, "n"]) -> Int[Tensor, "n l"]:
        """One of each, which the number of its words decides."""
        seeds = [torch.Generator().manual_seed(seed) for seed in words.tolist()]
        return self.tokenizer([one.draw_captions(1, rng)[0][0] for one, rng in zip(drawn, seeds, strict=True)])

    def _batch(self, images: Float[Tensor, "b h w 3"], cameras: Cameras, ids: Int[Tensor, "b l"]) -> LatentBatch:
        latents = encoded(self.autoencoder, images)
        here = cameras.to(latents.device)
        return LatentBatch(latents, condition(here), here.azimuth, ids.to(latents.device))
