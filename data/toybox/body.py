"""What the toys share: a body with the places where it can wear something, random shape variation, eyes."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from data.toybox.parts import BLACK, WHITE, Part, Turning, Vector, ball, pair


@dataclass(frozen=True)
class Style:
    """Factors of the random shape variation; all 1 in the true toy of a caption."""

    head: float = 1.0
    limb: float = 1.0
    tail: float = 1.0
    stretch: Vector = (1.0, 1.0, 1.0)


def draw_style(rng: torch.Generator, amount: float = 0.06) -> Style:
    head, limb, tail, x, y, z = (1 + amount * (2 * torch.rand(6, generator=rng) - 1)).tolist()
    half = lambda f: 1 + (f - 1) / 2
    return Style(head, limb, tail, (half(x), half(y), half(z)))


@dataclass(frozen=True)
class Body:
    parts: list[Part]
    crown: tuple[Vector, float] | None = None  # top of the head, and the head's radius there
    neck: tuple[Vector, float] | None = None  # centre and radius
    back: Vector | None = None  # where a backpack touches: behind those who stand, on top of those on four legs
    upright: bool = True
    head: Turning | None = None  # where the whole head is what only the front has
    scale: float = 1.0  # about the middle of the floor, (0, 0, -0.5), so that the toy with its hat fits |x| <= 0.6
    lift: float = 0.0  # upwards, after scaling: what is low and wide can be larger in the middle of the sphere


def eyes(center: Vector, radius: float, white: Vector = WHITE, pupil: Vector = BLACK) -> list[Part]:
    """Two eyes looking along +x; `center` is the one at +y."""
    x, y, z = center
    return pair(ball(center, radius, white), ball((x + 0.62 * radius, y, z), 0.58 * radius, pupil))
