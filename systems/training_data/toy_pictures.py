"""Rendered toys as bytes, kept on disk: a model of pictures and captions trains on them, and no step renders."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Bool, Float, UInt8
from rich.progress import track
from torch import Tensor

from data.toy_views import ToyBatch, ToyViews
from data.toybox.captions import caption
from systems.rng import step_generator
from systems.training_data.ahead import drawn_ahead
from systems.training_data.kept import kept

CHUNK = 16  # objects rendered together


@dataclass(frozen=True)
class ToyPictures:
    """n objects, each seen from v sides."""

    images: UInt8[Tensor, "n v h w 3"]
    azimuth: Float[Tensor, "n v"]  # radians
    elevation: Float[Tensor, "n v"]
    captions: list[str]  # plain: what the toy is
    colorful: Bool[Tensor, "n"]  # before a random colour, not before grey

    def tensors(self) -> dict[str, Tensor | list[str]]:
        """What it is made of, by the names of the constructor."""
        return dict(vars(self))


def draw_objects(views: ToyViews, count: int, seed: int, step: int) -> ToyBatch:
    return views.draw(count, step_generator(seed, step))


def render_pictures(views: ToyViews, n_objects: int, seed: int, workers: int = 0) -> ToyPictures:
    """The objects depend on the seed alone."""
    chunks = range(math.ceil(n_objects / CHUNK))
    drawn = drawn_ahead(partial(draw_objects, views, CHUNK, seed), chunks, workers)
    images, azimuth, elevation, captions, colorful = [], [], [], [], []
    for batch in track(drawn, total=len(chunks), description="Rendering toys", transient=True):
        images.append((batch.images * 255).round().byte())
        azimuth.append(batch.cameras.azimuth)
        elevation.append(batch.cameras.elevation)
        captions += [caption(toy) for toy in batch.toys]
        colorful.append(batch.colorful)
    by_object = lambda x: torch.cat(x).unflatten(0, (-1, views.n_view))[:n_objects]
    return ToyPictures(
        by_object(images),
        by_object(azimuth),
        by_object(elevation),
        captions[:n_objects],
        torch.cat(colorful)[:n_objects],
    )


def kept_pictures(path: Path, views: ToyViews, n_objects: int, seed: int, workers: int = 0) -> ToyPictures:
    """Those at `path` if they are of the same toys and cameras; else new ones, written there."""
    origin = fingerprint(views, n_objects, seed)
    saved = kept(path, origin, lambda: render_pictures(views, n_objects, seed, workers).tensors())
    return ToyPictures(**saved)  # type: ignore[arg-type]  # each value has its own type


def fingerprint(views: ToyViews, n_objects: int, seed: int) -> str:
    """Changes with anything that the pictures depend on: a hash of a few, and of what was asked for."""
    sample = render_pictures(views, 2, seed)
    asked = repr((n_objects, seed, vars(views)))
    return hashlib.sha256(sample.images.numpy().tobytes() + asked.encode()).hexdigest()
