"""Many sentences about the few toys that no training draws."""

from __future__ import annotations

from collections.abc import Container, Sequence

import torch

from data.errors import UserError
from data.toybox.captions import draw_caption, parse
from data.toybox.grammar import ACCESSORIES, COLORS, CREATURES, KINDS, Toy, Worn
from data.toybox.split import held_out

PATIENCE = 200  # draws without a new sentence, after which a toy has no more of them


def held_out_captions(
    count: int, rng: torch.Generator, kinds: Sequence[str] = tuple(KINDS), dressed: float = 0.5
) -> list[str]:
    """Distinct sentences, each about a toy that contains one of the held-out combinations of the given kinds; the
    combinations take turns, so that the first of many captions are those of a smaller count. A combination that has no
    new sentence leaves its turn to the others.

    dressed: the share of the creatures that wear one thing more than their combination.
    """
    toys = [parse(text) for text in held_out(kinds)]
    found: dict[str, None] = {}
    while toys and len(found) < count:
        for toy in list(toys):
            text = _new_sentence(toy, found.keys(), rng, dressed)
            if text is None:
                toys.remove(toy)
            elif len(found) < count:
                found[text] = None
    if len(found) < count:
        raise UserError(f"the held-out toys of these kinds have {len(found)} captions, not {count}; ask for fewer")
    return list(found)


def with_one_more(toy: Toy, rng: torch.Generator) -> Toy:
    """The toy wearing a random further thing; hat and crown share the one head, and no colour is next to itself."""
    on_head = {"hat", "crown"}
    items = {worn.item for worn in toy.worn}
    taken = items | (on_head if items & on_head else set())
    free = [item for item in ACCESSORIES if item not in taken]
    colors = [color for color in COLORS if color != toy.color]
    more = Worn(free[_draw(rng, len(free))], colors[_draw(rng, len(colors))])
    return Toy(toy.kind, toy.color, tuple(sorted((*toy.worn, more), key=lambda worn: worn.item)))


def _new_sentence(toy: Toy, known: Container[str], rng: torch.Generator, dressed: float) -> str | None:
    for _ in range(PATIENCE):
        dresses = toy.kind in CREATURES and torch.rand((), generator=rng).item() < dressed
        text = draw_caption(with_one_more(toy, rng) if dresses else toy, rng)
        if text not in known:
            return text
    return None


def _draw(rng: torch.Generator, n: int) -> int:
    return int(torch.randint(n, (), generator=rng))
