"""Draws of later steps, made by other processes while this one trains. They import this module: keep it light."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import numba
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from data.views import ViewBatch, Views
from guidance.tokenizer import Tokenizer
from systems.rng import step_generator

T = TypeVar("T")


def draw_pictures(views: Views, count: int, seed: int, step: int) -> Float[Tensor, "b h w 3"]:
    return views.draw(count // views.n_view, step_generator(seed, step)).images


def draw_described(
    views: Views, tokenizer: Tokenizer, n_objects: int, n_captions: int, seed: int, step: int
) -> tuple[ViewBatch, Int[Tensor, "n k l"]]:
    """Objects, and captions of each."""
    rng = step_generator(seed, step)
    batch = views.draw(n_objects, rng)
    return batch, torch.stack([tokenizer(texts) for texts in batch.draw_captions(n_captions, rng)])


class _Draws(Dataset, Generic[T]):
    def __init__(self, draw: Callable[[int], T], steps: range) -> None:
        self.draw, self.steps = draw, steps

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, index: int) -> T:
        return self.draw(self.steps[index])


def drawn_ahead(draw: Callable[[int], T], steps: range, workers: int) -> Iterator[T]:
    """`draw(step)` for each of `steps`, in order; by so many other processes (0: by this one, when asked).

    `draw` must be picklable and depend on the step alone.
    """
    loader = DataLoader(
        _Draws(draw, steps),
        batch_size=None,
        collate_fn=_unchanged,
        num_workers=workers,
        multiprocessing_context="spawn" if workers else None,  # numba's threads do not survive a fork
        worker_init_fn=_one_thread if workers else None,
        prefetch_factor=4 if workers else None,
    )
    return iter(loader)


def _unchanged(drawn: T) -> T:
    return drawn


def _one_thread(worker: int) -> None:
    numba.set_num_threads(1)
