"""Captioned pictures by the million, of which some cannot be read: those are named, once, and others are taken."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import torch
from jaxtyping import UInt8
from torch import Tensor

from data.errors import UserError
from data.pictures import CaptionedPicture, CaptionedPictures
from systems.rng import step_generator
from systems.training_data.ahead import OnDemand

T = TypeVar("T")
log = logging.getLogger(__name__)
TRIES = 32
LEAST = 0.1  # of all that are looked at: less, and they are not what was meant


@dataclass(frozen=True)
class Unreadable:
    number: int
    reason: str  # with the name of the file


@dataclass(frozen=True)
class Found:
    picture: CaptionedPicture | None
    unreadable: list[Unreadable]  # that were to be there before


def attempt(read: Callable[[int], T], index: int) -> T | Unreadable:
    try:
        return read(index)
    except UserError as error:
        return Unreadable(index, str(error))


def read_or_another(pictures: CaptionedPictures, index: int) -> Found:
    """In the place of one that cannot be read another, which depends on its number alone."""
    rng, unreadable = step_generator(index, 0), list[Unreadable]()
    for _ in range(TRIES):
        found = attempt(pictures.__getitem__, index)
        if not isinstance(found, Unreadable):
            return Found(found, unreadable)
        unreadable.append(found)
        index = int(torch.randint(len(pictures), (1,), generator=rng))
    return Found(None, unreadable)


class ReadablePictures:
    """Those of some numbers; UserError where nearly none can be read. workers: processes that read; 0: this one."""

    def __init__(self, pictures: CaptionedPictures, workers: int = 0) -> None:
        self.read, self.told = OnDemand(partial(read_or_another, pictures), workers), set[int]()

    def __call__(self, index: Sequence[int]) -> list[CaptionedPicture]:
        found = self.read(index)
        for one in found:
            for unreadable in one.unreadable:
                self._tell(unreadable)
            if one.picture is None:
                raise UserError(_nearly_all(one.unreadable, TRIES))
        return [one.picture for one in found if one.picture is not None]

    def _tell(self, unreadable: Unreadable) -> None:
        if unreadable.number not in self.told:
            self.told.add(unreadable.number)
            log.warning("%s; another picture stands in its place", unreadable.reason)


def first_image(pictures: CaptionedPictures) -> UInt8[Tensor, "h w 3"]:
    """The first of all that can be read."""
    unreadable = list[Unreadable]()
    for index in range(len(pictures)):
        found = attempt(pictures.image, index)
        if not isinstance(found, Unreadable):
            return found
        unreadable.append(found)
    raise UserError(_nearly_all(unreadable, len(pictures)))


def leave_out(unreadable: Sequence[Unreadable], count: int) -> None:
    """Names those of so many that cannot be read."""
    check_most(unreadable, count)
    for one in unreadable:
        log.warning("%s; the others are trained on", one.reason)


def check_most(unreadable: Sequence[Unreadable], count: int) -> None:
    """UserError if that is nearly all of so many."""
    if count - len(unreadable) < LEAST * count:
        raise UserError(_nearly_all(unreadable, count))


def _nearly_all(unreadable: Sequence[Unreadable], count: int) -> str:
    return f"{unreadable[0].reason}; that is so with {len(unreadable)} of {count} pictures"
