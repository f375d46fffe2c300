"""What other processes draw: for later steps while this one trains, or on demand. They import this module, so it
stays light."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numba
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from data.errors import UserError
from data.views import ViewBatch, Views
from guidance.tokenizer import Tokenizer
from systems.rng import step_generator

T = TypeVar("T")


def draw_pictures(views: Views, count: int, seed: int, step: int) -> Float[Tensor, "b h w 3"]:
    return views.draw(count // views.n_view, step_generator(seed, step)).images


def draw_object(views: Views, seed: int, number: int) -> ViewBatch:
    return views.draw(1, step_generator(seed, number))


def draw_described(
    views: Views, tokenizer: Tokenizer, n_objects: int, n_captions: int, seed: int, step: int
) -> tuple[ViewBatch, Int[Tensor, "n k l"]]:
    """Objects, and captions of each."""
    rng = step_generator(seed, step)
    batch = views.draw(n_objects, rng)
    return batch, torch.stack([tokenizer(texts) for texts in batch.draw_captions(n_captions, rng)])


def drawn_ahead(draw: Callable[[int], T], steps: range, workers: int) -> Iterator[T]:
    """`draw(step)` for each of `steps`, in order; by so many other processes (0: by this one, when asked).

    `draw` must be picklable and depend on the step alone.
    """
    return map(_or_raise, iter(_loader(draw, _Asked(steps), workers, stay=False)))


class OnDemand(Generic[T]):
    """`draw(i)` for each i that it is called with, in order; by so many other processes (0: by this one), which stay.

    `draw` must be picklable and depend on i alone.
    """

    def __init__(self, draw: Callable[[int], T], workers: int) -> None:
        self._asked = _Asked()
        self._loader = _loader(draw, self._asked, workers, stay=True)

    def __call__(self, index: Sequence[int]) -> list[T]:
        self._asked.index = index
        return [_or_raise(drawn) for drawn in list(self._loader)]


@dataclass(frozen=True)
class _Wrong:
    """A UserError on its way here: as an exception it would arrive as the text of a traceback."""

    said: str


def _or_raise(drawn: T | _Wrong) -> T:
    if isinstance(drawn, _Wrong):
        raise UserError(drawn.said)
    return drawn


def _loader(draw: Callable[[int], T], asked: Sampler[int], workers: int, stay: bool) -> DataLoader[T | _Wrong]:
    return DataLoader(
        _Draws(draw),
        batch_size=None,
        sampler=asked,
        collate_fn=_unchanged,
        num_workers=workers,
        multiprocessing_context="spawn" if workers else None,  # numba's threads do not survive a fork
        worker_init_fn=_one_thread if workers else None,
        prefetch_factor=4 if workers else None,
        persistent_workers=stay and workers > 0,
        generator=torch.Generator(),  # else each pass takes a number from torch's own
    )


class _Draws(Dataset, Generic[T]):
    def __init__(self, draw: Callable[[int], T]) -> None:
        self.draw = draw

    def __getitem__(self, index: int) -> T | _Wrong:
        try:
            return self.draw(index)
        except UserError as error:
            return _Wrong(str(error))


class _Asked(Sampler[int]):
    """Tells the loader, in this process, what the others shall draw next."""

    def __init__(self, index: Sequence[int] = ()) -> None:
        self.index = index

    def __iter__(self) -> Iterator[int]:
        return iter(self.index)

    def __len__(self) -> int:
        return len(self.index)


def _unchanged(drawn: T) -> T:
    return drawn


def _one_thread(worker: int) -> None:
    numba.set_num_threads(1)
