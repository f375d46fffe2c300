"""Creatures with beaks and wings; what creatures.py says of faces and tails is true of them, too."""

from __future__ import annotations

from functools import partial

from data.toybox.body import Body, Style, eyes
from data.toybox.parts import (
    BROWN,
    CREAM,
    ORANGE,
    STEEL,
    WHITE,
    YELLOW,
    Turning,
    Vector,
    ball,
    ellipsoid,
    front,
    frustum,
    pair,
    rear,
)


def duck(c: Vector, s: Style) -> Body:
    h = 0.18 * s.head
    turning = Turning(-0.02, 0.07)
    head = partial(front, axis=turning.axis, inward=turning.inward)
    parts = [
        ellipsoid((-0.04, 0, -0.22), (0.34, 0.22, 0.20), c),
        *head(ball((0.17, 0, 0.14), h, c)),
        *rear(frustum((-0.30, 0, -0.18), (-0.50 * s.tail, 0, 0.03), 0.12, c, 0.02)),
        *pair(ellipsoid((-0.07, 0.20, -0.18), (0.20, 0.06, 0.11), c, pitch=-12)),
        *head(ellipsoid((0.37, 0, 0.10), (0.12, 0.09, 0.035), ORANGE if c != ORANGE else YELLOW)),
        *pair(ellipsoid((0.10, 0.10, -0.44), (0.13, 0.07, 0.03), ORANGE if c != ORANGE else YELLOW)),
        *head(*eyes((0.28, 0.095, 0.195), 0.078)),
    ]
    return Body(
        parts,
        ((0.16, 0, 0.14 + 0.88 * h), h),
        ((0.13, 0, -0.02), 0.16),
        (-0.12, 0, -0.03),
        upright=False,
        head=turning,
        scale=0.96,
    )


def penguin(c: Vector, s: Style) -> Body:
    h = 0.16 * s.head
    z = 0.14 + h
    belly = WHITE if c != WHITE else STEEL
    beak = partial(front, axis=0.02)
    parts = [
        ellipsoid((0, 0, -0.14), (0.19, 0.22, 0.32), c),
        *front(ellipsoid((0.07, 0, -0.15), (0.145, 0.17, 0.26), belly), inward=-0.03),
        ball((0.02, 0, z), h, c),
        *beak(frustum((h - 0.02, 0, z - 0.02), (h + 0.15, 0, z - 0.05), 0.05, ORANGE if c != ORANGE else YELLOW, 0.0)),
        *pair(ellipsoid((-0.02, 0.24, -0.10), (0.07, 0.035, 0.20 * s.limb), c)),
        *front(*pair(ellipsoid((0.11, 0.10, -0.46), (0.13, 0.08, 0.04), ORANGE if c != ORANGE else YELLOW))),
        *rear(frustum((-0.13, 0, -0.36), (-0.27 * s.tail, 0, -0.46), 0.08, c, 0.02)),
        *front(*eyes((0.02 + h * 0.76, 0.075, z + 0.05), 0.068), axis=0.02),
    ]
    return Body(parts, ((0.02, 0, z + 0.88 * h), h), ((0.01, 0, 0.12), 0.17), (-0.18, 0, -0.10), scale=0.87)


def owl(c: Vector, s: Style) -> Body:
    h = 0.10 * s.head
    disc = CREAM if c not in (WHITE, YELLOW) else BROWN
    face = partial(front, inward=-0.03)
    parts = [
        ellipsoid((0, 0, -0.08), (0.22, 0.25, 0.36), c),
        *face(ellipsoid((0.08, 0, -0.18), (0.17, 0.18, 0.22), disc)),
        *pair(frustum((0.02, 0.14, 0.20), (0.02, 0.20, 0.38 * s.tail), 0.07, c, 0.0)),
        *face(*pair(ellipsoid((0.16, 0.105, 0.10), (0.05, 0.115, 0.115), disc))),
        *face(frustum((0.19, 0, 0.03), (0.28, 0, -0.03), 0.04, ORANGE if c != ORANGE else YELLOW, 0.0)),
        *pair(ellipsoid((-0.03, 0.24, -0.10), (0.13, 0.05, 0.22 * s.limb), c)),
        *face(*pair(ellipsoid((0.12, 0.09, -0.45), (0.10, 0.06, 0.04), ORANGE if c != ORANGE else YELLOW))),
        *face(*eyes((0.19, 0.105, 0.10), 0.8 * h)),
    ]
    return Body(parts, ((0.0, 0, 0.24), 0.15), ((0.0, 0, -0.06), 0.25), (-0.21, 0, -0.10))
