"""The world of toys: kind x colour x accessories. A `Toy` says what it is; `build` says of which solids."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from data.toybox import accessories, birds, creatures, parts, things, vehicles
from data.toybox.body import Body, Style
from data.toybox.parts import Part, Vector

COLORS: Mapping[str, Vector] = {
    "red": parts.RED,
    "orange": parts.ORANGE,
    "yellow": parts.YELLOW,
    "green": parts.GREEN,
    "blue": parts.BLUE,
    "purple": parts.PURPLE,
    "pink": parts.PINK,
    "brown": parts.BROWN,
    "white": parts.WHITE,
    "black": parts.BLACK,
}

ONE_FRONT = (0,)  # the sides with a front, in degrees of azimuth
FLOOR = np.array([0.0, 0.0, 0.5])
Kind = Callable[[Vector, Style], Body]

# Most useful first: a prior is trained on the first `n_kinds` of them.
KINDS: Mapping[str, tuple[Kind, str]] = {  # kind -> (body, the colour it has when a caption names none)
    "dog": (creatures.dog, "brown"),
    "car": (vehicles.car, "red"),
    "duck": (birds.duck, "yellow"),
    "house": (things.house, "white"),
    "elephant": (creatures.elephant, "blue"),
    "snowman": (creatures.snowman, "white"),
    "chair": (things.chair, "brown"),
    "robot": (creatures.robot, "green"),
    "cat": (creatures.cat, "orange"),
    "mushroom": (things.mushroom, "red"),
    "penguin": (birds.penguin, "black"),
    "bear": (creatures.bear, "brown"),
    "pig": (creatures.pig, "pink"),
    "rabbit": (creatures.rabbit, "white"),
    "bus": (vehicles.bus, "yellow"),
    "train": (vehicles.train, "green"),
    "boat": (vehicles.boat, "blue"),
    "airplane": (vehicles.airplane, "white"),
    "frog": (creatures.frog, "green"),
    "owl": (birds.owl, "brown"),
    "truck": (vehicles.truck, "red"),
    "table": (things.table, "brown"),
    "bed": (things.bed, "blue"),
    "lamp": (things.lamp, "yellow"),
    "tree": (things.tree, "green"),
    "cactus": (things.cactus, "green"),
    "castle": (things.castle, "white"),
    "cake": (things.cake, "pink"),
    "apple": (things.apple, "red"),
    "mug": (things.mug, "white"),
    "teapot": (things.teapot, "blue"),
    "hammer": (things.hammer, "brown"),
}
ACCESSORIES: Mapping[str, Callable[[Body, Vector], list[Part]]] = {
    "hat": accessories.hat,
    "scarf": accessories.scarf,
    "backpack": accessories.backpack,
    "crown": accessories.crown,
}
ANIMATE = (creatures.__name__, birds.__name__)
CREATURES = frozenset(kind for kind, (build_kind, _) in KINDS.items() if build_kind.__module__ in ANIMATE)


@dataclass(frozen=True)
class Worn:
    item: str
    color: str


@dataclass(frozen=True)
class Toy:
    kind: str
    color: str
    worn: tuple[Worn, ...] = ()  # sorted by item: the order in which a caption names them does not matter


def build(toy: Toy, style: Style | None = None, fronts: Sequence[int] = ONE_FRONT) -> list[Part]:
    """The solids of a toy; without `style` those of the true toy that a caption means.

    fronts: the sides, in degrees of azimuth, multiples of 90, that show what only the front should: two or more make a
    Janus toy.
    """
    style = style or Style()
    kind, _ = KINDS[toy.kind]
    return assemble(kind(COLORS[toy.color], style), toy.worn, style.stretch, fronts)


def assemble(
    body: Body, worn: Sequence[Worn], stretch: Vector = (1.0, 1.0, 1.0), fronts: Sequence[int] = ONE_FRONT
) -> list[Part]:
    """The solids of any body, and of what it wears, where they stand."""
    parts = body.parts + [part for one in worn for part in ACCESSORIES[one.item](body, COLORS[one.color])]
    return [_placed(copy, body, stretch) for part in parts for copy in _on_sides(part, fronts)]


def has_front(kind: str) -> bool:
    """Whether a second front would be a mistake that one sees. Round things, furniture and tools have none, nor has the
    boat: its bow is its stern; nor the mushroom: a second door would do it no harm."""
    body, color = KINDS[kind]
    return any(part.turning for part in body(COLORS[color], Style()).parts)


def draw_toy(rng: torch.Generator, kinds: Sequence[str]) -> Toy:
    """A random toy of the given kinds; half of the creatures wear one thing, a tenth two, never hat and crown."""
    kind = kinds[_draw(rng, len(kinds))]
    color = _draw_color(rng)
    if kind not in CREATURES:
        return Toy(kind, color)
    n_worn = (0, 0, 0, 0, 1, 1, 1, 1, 1, 2)[_draw(rng, 10)]
    order = torch.randperm(len(ACCESSORIES), generator=rng).tolist()
    items = sorted(list(ACCESSORIES)[i] for i in order[:n_worn])
    if items == ["crown", "hat"]:
        items = items[:1]
    return Toy(kind, color, tuple(Worn(item, _draw_color(rng, other_than=color)) for item in items))


def _on_sides(part: Part, fronts: Sequence[int]) -> list[Part]:
    if part.turning:
        return [part.turned(degrees) for degrees in fronts]
    return [] if part.side in fronts else [part]


def _placed(part: Part, body: Body, stretch: Vector) -> Part:
    factors = body.scale * np.array(stretch)
    center = factors * (part.center + FLOOR) - FLOOR + np.array([0.0, 0.0, body.lift])
    return Part(part.shape, factors[:, None] * part.matrix, center, part.color, part.taper)


def _draw_color(rng: torch.Generator, other_than: str | None = None) -> str:
    names = [name for name in COLORS if name != other_than]
    return names[_draw(rng, len(names))]


def _draw(rng: torch.Generator, n: int) -> int:
    return int(torch.randint(n, (1,), generator=rng))
