"""Toys that differ from a toy by one thing: what a model of captions must tell apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise

import torch

from data.toybox.grammar import ACCESSORIES, COLORS, CREATURES, KINDS, Toy, Worn
from data.toybox.split import is_held_out


def near_miss(toy: Toy, rng: torch.Generator) -> Toy:
    """A random one, each sort of difference equally likely; never a held-out combination."""
    sorts: list[Callable[[Toy], Iterator[Toy]]] = [_recolored, _other_kinds]
    sorts += [_worn_otherwise, _swapped] if toy.worn else [_dressed] if toy.kind in CREATURES else []
    while True:
        options = list(sorts[_draw(rng, len(sorts))](toy))
        other = options[_draw(rng, len(options))]
        if not is_held_out(other):
            return other


def one_color_away(toy: Toy) -> list[Toy]:
    """Every toy with another colour of the body or of one worn thing; as in training, no colour next to itself."""
    return list(_recolored(toy))


def _recolored(toy: Toy) -> Iterator[Toy]:
    worn_colors = {worn.color for worn in toy.worn}
    yield from (replace(toy, color=color) for color in COLORS if color not in {toy.color, *worn_colors})
    for i, worn in enumerate(toy.worn):
        for color in COLORS:
            if color not in {toy.color, worn.color}:
                yield replace(toy, worn=(*toy.worn[:i], replace(worn, color=color), *toy.worn[i + 1 :]))


def _other_kinds(toy: Toy) -> Iterator[Toy]:
    kinds = CREATURES if toy.worn else KINDS
    yield from (replace(toy, kind=kind) for kind in KINDS if kind in kinds and kind != toy.kind)


def _worn_otherwise(toy: Toy) -> Iterator[Toy]:
    """Another thing of the same colour, or one thing less."""
    items = {worn.item for worn in toy.worn}
    for i, worn in enumerate(toy.worn):
        rest = (*toy.worn[:i], *toy.worn[i + 1 :])
        yield replace(toy, worn=rest)
        for item in ACCESSORIES:
            if item not in items:
                yield replace(toy, worn=tuple(sorted((*rest, replace(worn, item=item)), key=lambda w: w.item)))


def _swapped(toy: Toy) -> Iterator[Toy]:
    """The body's colour and that of a worn thing exchanged, or those of two worn things."""
    for i, worn in enumerate(toy.worn):
        others = (*toy.worn[:i], replace(worn, color=toy.color), *toy.worn[i + 1 :])
        yield replace(toy, color=worn.color, worn=others)
    for first, second in pairwise(toy.worn):
        if first.color != second.color:
            yield replace(toy, worn=(replace(first, color=second.color), replace(second, color=first.color)))


def _dressed(toy: Toy) -> Iterator[Toy]:
    for item in ACCESSORIES:
        yield from (replace(toy, worn=(Worn(item, color),)) for color in COLORS if color != toy.color)


def _draw(rng: torch.Generator, n: int) -> int:
    return int(torch.randint(n, (), generator=rng))
