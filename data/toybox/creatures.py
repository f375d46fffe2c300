"""Animals and characters: faces on the front only, tails behind, all can wear things.

Of those on four legs, whose body would hide a face at the back of the head, the front is the whole head.
"""

from __future__ import annotations

from functools import partial

from data.toybox.body import Body, Style, eyes
from data.toybox.parts import (
    BLACK,
    BROWN,
    CREAM,
    ORANGE,
    PINK,
    RED,
    ROSE,
    STEEL,
    WHITE,
    YELLOW,
    Part,
    Turning,
    Vector,
    ball,
    box,
    ellipsoid,
    front,
    frustum,
    pair,
    rear,
)


def dog(c: Vector, s: Style) -> Body:
    h = 0.19 * s.head
    turning = Turning(0.0, 0.10)
    head = partial(front, axis=turning.axis, inward=turning.inward)
    parts = [
        ellipsoid((-0.06, 0, -0.10), (0.30, 0.17, 0.16), c),
        *head(
            ball((0.24, 0, 0.16), h, c),
            ellipsoid((0.40, 0, 0.10), (0.11, 0.10, 0.085), c),
            ball((0.50, 0, 0.13), 0.05, BLACK if c != BLACK else ROSE),
        ),
        *rear(frustum((-0.32, 0, -0.05), (-0.32 - 0.13 * s.tail, 0, 0.20 * s.tail), 0.045, c, 0.03)),
        *head(*pair(ellipsoid((0.20, 0.19, 0.14), (0.07, 0.04, 0.15), BROWN if c != BROWN else BLACK))),
        *_legs(c, 0.15, -0.26, 0.10, 0.065, -0.12, -0.50 * s.limb),
        *head(*eyes((0.36, 0.095, 0.225), 0.085)),
    ]
    return Body(
        parts,
        ((0.23, 0, 0.16 + 0.88 * h), h),
        ((0.17, 0, 0.02), 0.16),
        (-0.10, 0, 0.05),
        upright=False,
        head=turning,
        scale=0.87,
        lift=0.015,
    )


def cat(c: Vector, s: Style) -> Body:
    h = 0.18 * s.head
    turning = Turning(-0.02, 0.12)
    head = partial(front, axis=turning.axis, inward=turning.inward)
    parts = [
        ellipsoid((-0.04, 0, -0.14), (0.27, 0.13, 0.13), c),
        *head(
            ball((0.22, 0, 0.12), h, c),
            *pair(frustum((0.22, 0.11, 0.22), (0.22, 0.15, 0.40), 0.075, c, 0.0)),
            *pair(ellipsoid((0.36, 0.045, 0.06), (0.06, 0.06, 0.045), WHITE)),
            ball((0.41, 0, 0.10), 0.032, PINK if c != PINK else BLACK),
        ),
        *rear(
            frustum((-0.28, 0, -0.12), (-0.42, 0, 0.10 * s.tail), 0.04, c),
            frustum((-0.42, 0, 0.10 * s.tail), (-0.36, 0, 0.36 * s.tail), 0.04, c, 0.025),
        ),
        *_legs(c, 0.13, -0.22, 0.075, 0.05, -0.16, -0.50 * s.limb),
        *head(*eyes((0.33, 0.085, 0.175), 0.08)),
    ]
    return Body(
        parts,
        ((0.21, 0, 0.12 + 0.88 * h), h),
        ((0.15, 0, -0.01), 0.14),
        (-0.08, 0, -0.02),
        upright=False,
        head=turning,
        scale=0.95,
    )


def elephant(c: Vector, s: Style) -> Body:
    h = 0.20 * s.head
    turning = Turning(0.0, 0.06)
    head = partial(front, axis=turning.axis, inward=turning.inward)
    parts = [
        ellipsoid((-0.10, 0, -0.06), (0.31, 0.22, 0.21), c),
        *head(
            ball((0.22, 0, 0.13), h, c),
            *pair(ellipsoid((0.16, 0.27, 0.15), (0.04, 0.17, 0.18), c)),
            frustum((0.38, 0, 0.12), (0.47, 0, -0.14), 0.07, c, 0.055),
            frustum((0.47, 0, -0.14), (0.44, 0, -0.38 * s.limb), 0.055, c, 0.045),
            *pair(frustum((0.36, 0.10, 0.02), (0.48, 0.12, -0.08), 0.03, WHITE, 0.012)),
        ),
        *rear(frustum((-0.39, 0, -0.02), (-0.46, 0, -0.22 * s.tail), 0.025, c)),
        *_legs(c, 0.10, -0.27, 0.12, 0.085, -0.12, -0.50 * s.limb),
        *head(*eyes((0.36, 0.105, 0.20), 0.08)),
    ]
    return Body(
        parts,
        ((0.21, 0, 0.13 + 0.88 * h), h),
        ((0.16, 0, -0.02), 0.22),
        (-0.14, 0, 0.14),
        upright=False,
        head=turning,
        scale=0.9,
        lift=0.04,
    )


def pig(c: Vector, s: Style) -> Body:
    h = 0.19 * s.head
    snout = PINK if c != PINK else ROSE
    turning = Turning(-0.02, 0.06)
    head = partial(front, axis=turning.axis, inward=turning.inward)
    parts = [
        ellipsoid((-0.08, 0, -0.12), (0.32, 0.23, 0.22), c),
        *head(
            ball((0.24, 0, 0.07), h, c),
            frustum((0.36, 0, 0.02), (0.48, 0, 0.02), 0.10, snout),
            *pair(ball((0.475, 0.042, 0.025), 0.022, BLACK)),
            *pair(frustum((0.22, 0.12, 0.17), (0.28, 0.18, 0.31), 0.07, c, 0.0)),
        ),
        *rear(frustum((-0.38, 0, -0.06), (-0.47, 0, 0.03 * s.tail), 0.03, snout)),
        *_legs(c, 0.13, -0.27, 0.12, 0.07, -0.20, -0.50 * s.limb),
        *head(*eyes((0.35, 0.095, 0.17), 0.078)),
    ]
    return Body(
        parts,
        ((0.22, 0, 0.07 + 0.92 * h), h),
        ((0.16, 0, -0.06), 0.19),
        (-0.12, 0, 0.09),
        upright=False,
        head=turning,
        scale=0.92,
        lift=0.04,
    )


def robot(c: Vector, s: Style) -> Body:
    h = 0.15 * s.head
    foot = -0.50 * s.limb
    parts = [
        box((0, 0, -0.06), (0.24, 0.36, 0.36), c),
        box((0, 0, 0.14 + h), (2 * h, 2.2 * h, 2 * h), STEEL),
        *front(*eyes((h, 0.075, 0.17 + h), 0.062), box((h, 0, 0.04 + h), (0.03, 0.20, 0.04), BLACK), inward=-0.1 * h),
        *front(box((0.12, 0, -0.02), (0.03, 0.20, 0.14), WHITE if c != WHITE else STEEL), inward=-0.06),
        *pair(frustum((0, 0.25, 0.08), (0, 0.25, -0.22), 0.055, STEEL), ball((0, 0.25, -0.24), 0.065, c)),
        *pair(box((0, 0.10, (foot - 0.24) / 2), (0.13, 0.12, -foot - 0.24), STEEL)),
        *pair(box((0.04, 0.10, foot + 0.03), (0.24, 0.14, 0.06), c)),
    ]
    return Body(parts, ((0, 0, 0.135 + 2 * h), 1.1 * h), ((0, 0, 0.12), 0.16), (-0.12, 0, -0.04), scale=0.87)


def snowman(c: Vector, s: Style) -> Body:
    h = 0.15 * s.head
    z = 0.12 + h
    parts = [
        ball((0, 0, -0.28), 0.24, c),
        ball((0, 0, 0.01), 0.18, c),
        ball((0, 0, z), h, c),
        *front(frustum((h - 0.02, 0, z), (h + 0.17 * s.tail, 0, z - 0.02), 0.045, ORANGE if c != ORANGE else RED, 0.0)),
        *pair(frustum((0, 0.15, 0.05), (0, 0.42 * s.limb, 0.17), 0.022, BROWN if c != BROWN else BLACK)),
        *front(*[ball((x, 0, zz), 0.03, BLACK if c != BLACK else WHITE) for x, zz in ((0.175, 0.05), (0.165, -0.06))]),
        *front(*eyes((h * 0.84, 0.07, z + 0.05), 0.046 if c == WHITE else 0.06, white=BLACK if c == WHITE else WHITE)),
    ]
    return Body(parts, ((0, 0, z + 0.88 * h), h), ((0, 0, 0.145), 0.14), (-0.17, 0, 0.0), scale=0.93)


def bear(c: Vector, s: Style) -> Body:
    h = 0.19 * s.head
    z = 0.10 + h
    parts = [
        ellipsoid((0, 0, -0.14), (0.19, 0.21, 0.25), c),
        *front(ellipsoid((0.10, 0, -0.15), (0.13, 0.14, 0.18), CREAM if c not in (WHITE, YELLOW) else BROWN)),
        ball((0.02, 0, z), h, c),
        *pair(ball((0.0, 0.16, z + 0.14), 0.075, c)),
        *front(
            ellipsoid((h, 0, z - 0.06), (0.08, 0.085, 0.07), CREAM if c not in (WHITE, YELLOW) else BROWN),
            ball((h + 0.075, 0, z - 0.03), 0.035, BLACK),
            axis=0.02,
        ),
        *pair(ellipsoid((0.06, 0.24, -0.06), (0.07, 0.07, 0.15), c)),
        *front(*pair(ellipsoid((0.10, 0.13, -0.42), (0.14, 0.085, 0.085 * s.limb), c))),
        *rear(ball((-0.20, 0, -0.26), 0.06 * s.tail, c)),
        *front(*eyes((0.02 + h * 0.82, 0.085, z + 0.06), 0.072), axis=0.02),
    ]
    return Body(parts, ((0.02, 0, z + 0.88 * h), h), ((0.01, 0, 0.09), 0.16), (-0.18, 0, -0.08), scale=0.87)


def rabbit(c: Vector, s: Style) -> Body:
    h = 0.17 * s.head
    z = 0.02 + h
    parts = [
        ellipsoid((-0.02, 0, -0.22), (0.19, 0.18, 0.22), c),
        ball((0.06, 0, z), h, c),
        *pair(ellipsoid((0.02, 0.12, z + 0.26 * s.limb), (0.045, 0.06, 0.17), c)),
        *pair(ellipsoid((0.055, 0.12, z + 0.26 * s.limb), (0.02, 0.03, 0.12), PINK if c != PINK else WHITE)),
        *front(
            ball((0.06 + h, 0, z - 0.03), 0.035, PINK if c != PINK else BLACK),
            box((0.05 + h, 0, z - 0.10), (0.03, 0.06, 0.06), WHITE if c != WHITE else STEEL),
            axis=0.06,
        ),
        *front(
            *pair(ellipsoid((0.12, 0.11, -0.45), (0.14, 0.065, 0.05), c)),
            *pair(ellipsoid((0.15, 0.11, -0.18), (0.06, 0.05, 0.11), c)),
            axis=-0.02,
        ),
        *rear(ball((-0.22, 0, -0.30), 0.075 * s.tail, WHITE if c != WHITE else PINK)),
        *front(*eyes((0.06 + h * 0.76, 0.08, z + 0.05), 0.07), axis=0.06),
    ]
    return Body(parts, ((0.08, 0, z + 0.88 * h), 0.75 * h), ((0.04, 0, 0.02), 0.14), (-0.20, 0, -0.16), scale=0.87)


def frog(c: Vector, s: Style) -> Body:
    h = 0.08 * s.head
    turning = Turning(0.0, 0.05)
    head = partial(front, axis=turning.axis, inward=turning.inward)
    parts = [
        ellipsoid((-0.04, 0, -0.26), (0.30, 0.24, 0.20), c, pitch=14),
        *head(
            ellipsoid((0.14, 0, -0.10), (0.20, 0.23, 0.15), c),
            *pair(ball((0.19, 0.13, 0.07), h + 0.02, c)),
            box((0.325, 0, -0.14), (0.03, 0.22, 0.025), BLACK if c != BLACK else PINK),
        ),
        *pair(ellipsoid((-0.16, 0.25, -0.34), (0.17, 0.08, 0.12 * s.limb), c)),
        *pair(ellipsoid((-0.06, 0.30, -0.47), (0.18, 0.08, 0.03), c)),
        *pair(
            frustum((0.18, 0.18, -0.24), (0.24, 0.22, -0.47), 0.055, c),
            ellipsoid((0.28, 0.22, -0.47), (0.11, 0.08, 0.03), c),
        ),
        *head(*eyes((0.23, 0.13, 0.08), h)),
    ]
    return Body(
        parts,
        ((0.05, 0, 0.045), 0.15),
        ((0.06, 0, -0.13), 0.21),
        (-0.14, 0, -0.10),
        upright=False,
        head=turning,
        lift=0.1,
    )


def _legs(c: Vector, front: float, rear: float, side: float, radius: float, top: float, bottom: float) -> list[Part]:
    parts = [frustum((x, side, top), (x, side, bottom), radius, c, 0.85 * radius) for x in (front, rear)]
    return pair(*parts)
