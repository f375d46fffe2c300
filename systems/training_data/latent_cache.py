"""Rendered objects, encoded once: the UNet trains on latents, and no step renders or encodes."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from rich.progress import track
from torch import Tensor

from data.cameras import condition
from data.views import Views
from guidance.autoencoder import Autoencoder
from guidance.tokenizer import Tokenizer
from systems.training_data.ahead import draw_described, drawn_ahead
from systems.training_data.kept import kept

N_CAPTIONS = 8  # of each object
CHUNK = 16  # objects drawn together
ENCODED_TOGETHER = 64  # pictures
ALL = slice(None)


@dataclass(frozen=True)
class LatentBatch:
    latents: Float[Tensor, "b c y x"]
    camera: Float[Tensor, "b 16"]
    azimuth: Float[Tensor, "b"]  # radians
    ids: Int[Tensor, "b l"]  # the caption's words

    def within(self, count: int, place: slice) -> LatentBatch:
        """As the part at `place` of a batch of so many, of which the rest is 0."""
        whole = {name: x.new_zeros(count, *x.shape[1:]) for name, x in vars(self).items()}
        for name, x in vars(self).items():
            whole[name][place] = x
        return LatentBatch(**whole)


@runtime_checkable
class Latents(Protocol):
    """What a training draws from. A draw depends on its generator alone.

    wanted: those of the b pictures of a draw, whole objects, that matter to who asks; the others need not be right.
    """

    def draw_objects(
        self, n_objects: int, rng: torch.Generator, among: int | None = None, wanted: slice = ALL
    ) -> LatentBatch:
        """All views of random objects, view fastest; one caption per object. among: the first so many; None: all."""
        ...

    def draw_pictures(self, is_frontal: Bool[Tensor, "b"], rng: torch.Generator, wanted: slice = ALL) -> LatentBatch:
        """Single views of random objects, from the front (within 45 degrees) or from anywhere."""
        ...


class LatentCache:
    """n objects, each seen from v views 2 pi / v apart, with k captions; standardised latents in float16."""

    def __init__(
        self,
        latents: Float[Tensor, "n v c y x"],
        camera: Float[Tensor, "n v 16"],
        azimuth: Float[Tensor, "n v"],
        ids: Int[Tensor, "n k l"],
    ) -> None:
        self.latents, self.camera, self.azimuth, self.ids = latents, camera, azimuth, ids
        wrapped = torch.remainder(azimuth + torch.pi, 2 * torch.pi) - torch.pi
        self.frontal: Int[Tensor, "n"] = wrapped.abs().argmin(dim=1)

    def to(self, device: torch.device) -> LatentCache:
        return LatentCache(**{name: tensor.to(device) for name, tensor in self.tensors().items()})

    def tensors(self) -> dict[str, Tensor]:
        """What the cache is made of, by the names of the constructor."""
        return {"latents": self.latents, "camera": self.camera, "azimuth": self.azimuth, "ids": self.ids}

    def draw_objects(
        self, n_objects: int, rng: torch.Generator, among: int | None = None, wanted: slice = ALL
    ) -> LatentBatch:
        index = integers(min(among or len(self.latents), len(self.latents)), n_objects, rng)
        ids = self._captions(index, rng).repeat_interleave(self.latents.shape[1], dim=0)
        flat = lambda x: x[index].flatten(0, 1)
        return LatentBatch(flat(self.latents).float(), flat(self.camera), flat(self.azimuth), ids)

    def draw_pictures(self, is_frontal: Bool[Tensor, "b"], rng: torch.Generator, wanted: slice = ALL) -> LatentBatch:
        n_images = len(is_frontal)
        index = integers(len(self.latents), n_images, rng)
        view = integers(self.latents.shape[1], n_images, rng)
        view = torch.where(is_frontal, self.frontal[index], view)
        seen = index, view
        return LatentBatch(
            self.latents[seen].float(), self.camera[seen], self.azimuth[seen], self._captions(index, rng)
        )

    def _captions(self, index: Int[Tensor, "n"], rng: torch.Generator) -> Int[Tensor, "n l"]:
        return self.ids[index, integers(self.ids.shape[1], len(index), rng)].long()


def integers(high: int, count: int, rng: torch.Generator) -> Int[Tensor, "n"]:
    return torch.randint(high, (count,), generator=rng, device=rng.device)


@torch.no_grad()
def encoded(autoencoder: Autoencoder, images: Float[Tensor, "b h w 3"]) -> Float[Tensor, "b c y x"]:
    """Standardised latents, where the autoencoder is."""
    device = autoencoder.mean.device
    with torch.autocast(device.type, torch.bfloat16):
        return torch.cat([autoencoder.encode(piece.to(device)) for piece in images.split(ENCODED_TOGETHER)])


def build_cache(
    views: Views, autoencoder: Autoencoder, tokenizer: Tokenizer, n_objects: int, seed: int, workers: int = 0
) -> LatentCache:
    """Renders, encodes and describes; the objects depend on the seed alone."""
    chunks = range(math.ceil(n_objects / CHUNK))
    drawn = drawn_ahead(partial(draw_described, views, tokenizer, CHUNK, N_CAPTIONS, seed), chunks, workers)
    latents, camera, azimuth, ids = [], [], [], []
    for batch, words in track(drawn, total=len(chunks), description="Encoding objects", transient=True):
        latents.append(encoded(autoencoder, batch.images).half().cpu())
        camera.append(condition(batch.cameras))
        azimuth.append(batch.cameras.azimuth)
        ids.append(words.int())
    by_object = lambda x: torch.cat(x).unflatten(0, (-1, views.n_view))[:n_objects]
    return LatentCache(by_object(latents), by_object(camera), by_object(azimuth), torch.cat(ids)[:n_objects])


def cached(
    path: Path,
    views: Views,
    autoencoder: Autoencoder,
    tokenizer: Tokenizer,
    n_objects: int,
    seed: int,
    workers: int = 0,
) -> LatentCache:
    """The cache at `path` if it is of the same views, words and autoencoder; else a new one, written there. It is where
    the autoencoder is."""
    origin = fingerprint(views, autoencoder, tokenizer, n_objects, seed)
    make = lambda: build_cache(views, autoencoder, tokenizer, n_objects, seed, workers).tensors()
    return LatentCache(**kept(path, origin, make)).to(autoencoder.mean.device)


def fingerprint(views: Views, autoencoder: Autoencoder, tokenizer: Tokenizer, n_objects: int, seed: int) -> str:
    """Changes with anything that the cache depends on: a hash of a few objects, and of what was asked for."""
    sample = build_cache(views, autoencoder, tokenizer, 2, seed)
    asked = repr((n_objects, seed, *views.settings, tokenizer.words, sample.ids.tolist()))
    return hashlib.sha256(sample.latents.numpy().tobytes() + asked.encode()).hexdigest()
