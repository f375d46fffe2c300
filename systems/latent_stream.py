"""Objects that are rendered or read, and encoded, when a step asks for them: for more of them than memory holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from data.cameras import condition, join
from data.views import ViewBatch, Views
from guidance.autoencoder import Autoencoder
from guidance.tokenizer import WordTokenizer
from systems.ahead import ObjectsByNumber
from systems.latent_cache import LatentBatch, encoded, integers


class LatentStream:
    """In the place of systems.latent_cache.cached. There are `n_objects`, of which the i-th is what `views` draws from
    (seed, i): any of them can be had at any time, so that what a step draws depends on its generator alone.

    path: of no concern, since nothing is kept. workers: processes that draw the objects of a step; 0: this one.
    """

    def __init__(
        self,
        path: Path,
        views: Views,
        autoencoder: Autoencoder,
        tokenizer: WordTokenizer,
        n_objects: int,
        seed: int,
        workers: int = 0,
    ) -> None:
        self.n_view, self.n_objects = views.n_view, n_objects
        self.autoencoder, self.tokenizer = autoencoder, tokenizer
        self.objects = ObjectsByNumber(views, seed, workers)

    def to(self, device: torch.device) -> LatentStream:
        """Latents are where the autoencoder is."""
        return self

    def draw_objects(self, n_objects: int, rng: torch.Generator, among: int | None = None) -> LatentBatch:
        """As of systems.latent_cache.LatentCache."""
        index = integers(min(among or self.n_objects, self.n_objects), n_objects, rng)
        drawn = self._objects(index)
        ids = self._captions(drawn, rng).repeat_interleave(self.n_view, dim=0)
        cameras = join([one.cameras for one in drawn]).to(rng.device)
        latents = encoded(self.autoencoder, torch.cat([one.images for one in drawn]))
        return LatentBatch(latents.float(), condition(cameras), cameras.azimuth, ids)

    def draw_pictures(self, is_frontal: Bool[Tensor, "b"], rng: torch.Generator) -> LatentBatch:
        """As of systems.latent_cache.LatentCache."""
        count = len(is_frontal)
        index, view = integers(self.n_objects, count, rng), integers(self.n_view, count, rng)
        drawn = self._objects(index)
        cameras = join([one.cameras for one in drawn]).to(rng.device)
        frontal = torch.cos(cameras.azimuth).unflatten(0, (count, self.n_view)).argmax(dim=1)
        view = torch.where(is_frontal, frontal, view)
        seen = cameras[torch.arange(count, device=rng.device) * self.n_view + view]
        images = torch.stack([one.images[i] for one, i in zip(drawn, view.tolist(), strict=True)])
        latents = encoded(self.autoencoder, images)
        return LatentBatch(latents.float(), condition(seen), seen.azimuth, self._captions(drawn, rng))

    def _objects(self, index: Int[Tensor, "n"]) -> list[ViewBatch]:
        """Each is drawn once, even if it is asked for twice."""
        once, place = index.cpu().unique(return_inverse=True)
        drawn = self.objects.draw(once.tolist())
        return [drawn[i] for i in place.tolist()]

    def _captions(self, drawn: Sequence[ViewBatch], rng: torch.Generator) -> Int[Tensor, "n l"]:
        """One of each."""
        words = torch.Generator().manual_seed(int(integers(2**62, 1, rng)))
        texts = [text for one in drawn for (text,) in one.draw_captions(1, words)]
        return self.tokenizer(texts).to(rng.device)
