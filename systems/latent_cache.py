"""Rendered toys, encoded once: the UNet trains on latents, and no step renders or encodes."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from rich.progress import track
from torch import Tensor

from data.cameras import condition
from data.toy_views import ToyViews
from data.toybox.captions import caption, parse
from data.toybox.grammar import Toy
from guidance.autoencoder import Autoencoder
from systems.rng import step_generator


@dataclass(frozen=True)
class LatentBatch:
    latents: Float[Tensor, "b c y x"]
    camera: Float[Tensor, "b 16"]
    toys: list[Toy]  # one per latent


class LatentCache:
    """n objects, each seen from v views 2 pi / v apart; standardised latents in float16."""

    def __init__(
        self,
        latents: Float[Tensor, "n v c y x"],
        camera: Float[Tensor, "n v 16"],
        azimuth: Float[Tensor, "n v"],
        toys: list[Toy],
    ) -> None:
        self.latents, self.camera, self.azimuth, self.toys = latents, camera, azimuth, toys
        wrapped = torch.remainder(azimuth + torch.pi, 2 * torch.pi) - torch.pi
        self.frontal: Int[Tensor, "n"] = wrapped.abs().argmin(dim=1)

    def draw_objects(self, n_objects: int, rng: torch.Generator) -> LatentBatch:
        """All views of random objects, view fastest."""
        index = torch.randint(len(self.toys), (n_objects,), generator=rng)
        n_view = self.latents.shape[1]
        toys = [self.toys[i] for i in index.tolist() for _ in range(n_view)]
        return LatentBatch(self.latents[index].flatten(0, 1).float(), self.camera[index].flatten(0, 1), toys)

    def draw_pictures(self, n_images: int, frontal: float, rng: torch.Generator) -> LatentBatch:
        """Single views of random objects, as on the web: the share `frontal` shows the front, within 45 degrees."""
        index = torch.randint(len(self.toys), (n_images,), generator=rng)
        view = torch.randint(self.latents.shape[1], (n_images,), generator=rng)
        view = torch.where(torch.rand(n_images, generator=rng) < frontal, self.frontal[index], view)
        toys = [self.toys[i] for i in index.tolist()]
        return LatentBatch(self.latents[index, view].float(), self.camera[index, view], toys)


@torch.no_grad()
def build_cache(views: ToyViews, autoencoder: Autoencoder, n_objects: int, seed: int, chunk: int = 16) -> LatentCache:
    """Renders and encodes; the objects depend on the seed alone."""
    latents, camera, azimuth, toys = [], [], [], []
    for i in track(range(math.ceil(n_objects / chunk)), description="Encoding toys", transient=True):
        batch = views.draw(chunk, step_generator(seed, i))
        with torch.autocast("cpu", torch.bfloat16):
            latents.append(autoencoder.encode(batch.images).half())
        camera.append(condition(batch.cameras))
        azimuth.append(batch.cameras.azimuth)
        toys += batch.toys
    by_object = lambda x: torch.cat(x).unflatten(0, (-1, views.n_view))[:n_objects]
    return LatentCache(by_object(latents), by_object(camera), by_object(azimuth), toys[:n_objects])


def cached(path: Path, views: ToyViews, autoencoder: Autoencoder, n_objects: int, seed: int) -> LatentCache:
    """The cache at `path` if it is of the same toys, cameras and autoencoder; else a new one, written there."""
    origin = fingerprint(views, autoencoder, n_objects, seed)
    if path.exists():
        saved = torch.load(path, weights_only=True)
        if saved["origin"] == origin:
            toys = [parse(text) for text in saved["captions"]]
            return LatentCache(saved["latents"], saved["camera"], saved["azimuth"], toys)
    cache = build_cache(views, autoencoder, n_objects, seed)
    tensors = {"latents": cache.latents, "camera": cache.camera, "azimuth": cache.azimuth}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"origin": origin, "captions": [caption(toy) for toy in cache.toys], **tensors}, path)
    return cache


def fingerprint(views: ToyViews, autoencoder: Autoencoder, n_objects: int, seed: int) -> str:
    """Changes with anything that the latents depend on: a hash of a few of them, and of what was asked for."""
    sample = build_cache(views, autoencoder, 2, seed, chunk=2)
    asked = repr((n_objects, seed, views.kinds, views.variation, views.sampler))
    return hashlib.sha256(sample.latents.numpy().tobytes() + asked.encode()).hexdigest()
