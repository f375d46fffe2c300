"""The held-out combinations: training never draws a toy that contains one of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from data.toybox.captions import parse
from data.toybox.grammar import Toy, draw_toy

# A creature with its colour and one worn thing with its colour; or a thing with its colour.
HELD_OUT = (
    "a red dog wearing a blue hat",
    "a yellow duck wearing a green scarf",
    "a blue elephant wearing a red crown",
    "a green robot wearing an orange backpack",
    "a white snowman wearing a purple hat",
    "an orange cat wearing a white scarf",
    "a purple penguin wearing a yellow crown",
    "a pink bear wearing a black backpack",
    "a green car",
    "a pink house",
    "a blue chair",
    "a purple mushroom",
    "a brown pig wearing a red hat",
    "a blue rabbit wearing a pink scarf",
    "a red bus",
    "a yellow train",
    "a black boat",
    "an orange airplane",
)


def held_out(kinds: Sequence[str]) -> tuple[str, ...]:
    """The held-out captions about the given kinds."""
    return tuple(text for text in HELD_OUT if parse(text).kind in kinds)


def is_held_out(toy: Toy) -> bool:
    return any(_contains(toy, _HELD_OUT_TOY[text]) for text in HELD_OUT)


def draw_training_toy(rng: torch.Generator, kinds: Sequence[str]) -> Toy:
    while is_held_out(toy := draw_toy(rng, kinds)):
        pass
    return toy


def _contains(toy: Toy, combination: Toy) -> bool:
    same = (toy.kind, toy.color) == (combination.kind, combination.color)
    return same and set(combination.worn) <= set(toy.worn)


_HELD_OUT_TOY = {text: parse(text) for text in HELD_OUT}
