"""Furniture, buildings, food, plants, tools; doors and handles only where the real thing has them."""

from __future__ import annotations

import math

from data.toybox.body import Body, Style
from data.toybox.parts import (
    BLACK,
    BROWN,
    CREAM,
    GLASS,
    GREEN,
    ORANGE,
    PINK,
    RED,
    STEEL,
    WHITE,
    YELLOW,
    Part,
    Vector,
    ball,
    box,
    ellipsoid,
    front,
    frustum,
    pair,
    wedge,
)  # fmt: skip


def house(c: Vector, s: Style) -> Body:
    roof = BROWN if c != BROWN else RED
    run, rise = 0.42, 0.36 * s.head  # of a slope, from the eaves to the ridge
    slope, length = math.degrees(math.atan2(rise, run)), math.hypot(run, rise)
    gable, tiled = rise - 0.08, (length + 0.05, 0.82, 0.06)
    return Body([
        box((0, 0, -0.25), (0.60, 0.70, 0.50), c),
        wedge((0, 0, 0), (0.60, 0.70, 2 * gable), c),
        *[box((side * run / 2, 0, gable - rise / 2), tiled, roof, -side * slope) for side in (1, -1)],
        *front(
            box((0.305, 0, -0.36), (0.02, 0.17, 0.28), roof),
            ball((0.32, 0.05, -0.37), 0.02, YELLOW if c != YELLOW else WHITE),
            *pair(box((0.305, 0.22, -0.25), (0.02, 0.14, 0.15), GLASS)),
            inward=-0.05,
        ),
        *pair(box((0, 0.355, -0.25), (0.16, 0.02, 0.16), GLASS)),
        box((-0.16, 0.20, 0.20 * s.tail), (0.11, 0.11, 0.28), STEEL),
    ], scale=0.9, lift=0.08)  # fmt: skip


def chair(c: Vector, s: Style) -> Body:
    top = 0.45 * s.head
    return Body([
        box((0, 0, -0.10), (0.46, 0.46, 0.07), c),
        *pair(box((-0.20, 0.19, top / 2 - 0.05), (0.06, 0.06, top + 0.10), c)),
        box((-0.20, 0, top - 0.08), (0.05, 0.44, 0.16), c),
        box((-0.20, 0, 0.10), (0.05, 0.44, 0.09), c),
        ellipsoid((0.01, 0, -0.06), (0.19, 0.19, 0.05), CREAM if c not in (WHITE, YELLOW) else BROWN),
        *pair(*[box((x, 0.19, -0.31), (0.06, 0.06, 0.38 * s.limb), c) for x in (0.19, -0.19)]),
    ], scale=0.98, lift=0.01)  # fmt: skip


def mushroom(c: Vector, s: Style) -> Body:
    spot = WHITE if c != WHITE else RED
    cap = (0.0, 0.0, 0.08)
    spots = [(1, 0, 0.45), (0.55, 0.62, 0.6), (0.55, -0.62, 0.6), (-0.5, 0.62, 0.6), (-0.5, -0.62, 0.6),
             (-0.95, 0, 0.35), (0.05, 0, 1.0), (0.3, 0.95, 0.25), (0.3, -0.95, 0.25)]  # fmt: skip
    return Body([
        frustum((0, 0, -0.50), (0, 0, 0.10), 0.17 * s.limb, CREAM, 0.13),
        ellipsoid(cap, (0.40, 0.40, 0.26 * s.head), c),
        frustum((0, 0, -0.005), (0, 0, 0.02), 0.37, CREAM),
        *[_spot(cap, (0.40, 0.40, 0.26 * s.head), d, spot) for d in spots],
        box((0.155, 0, -0.38), (0.04, 0.13, 0.18), BROWN),
        ball((0.125, 0, -0.16), 0.055, GLASS),
    ])  # fmt: skip


def _spot(center: Vector, radii: Vector, direction: Vector, color: Vector) -> Part:
    norm = sum(d * d for d in direction) ** 0.5
    x, y, z = (c + 0.95 * r * d / norm for c, r, d in zip(center, radii, direction, strict=True))
    return ellipsoid((x, y, z), (0.075, 0.075, 0.06), color)


def table(c: Vector, s: Style) -> Body:
    return Body([
        box((0, 0, 0.06), (0.66, 0.92, 0.07), c),
        *pair(*[box((x, 0.39, -0.23), (0.07, 0.07, 0.52 * s.limb), c) for x in (0.27, -0.27)]),
        box((0.27, 0, -0.03), (0.05, 0.50, 0.13), CREAM if c not in (WHITE, YELLOW) else BROWN),
        ball((0.31, 0, -0.03), 0.03, BLACK if c != BLACK else STEEL),
    ], scale=0.91, lift=0.16)  # fmt: skip


def lamp(c: Vector, s: Style) -> Body:
    return Body([
        frustum((0, 0, -0.50), (0, 0, -0.44), 0.22, STEEL, 0.18),
        frustum((0, 0, -0.44), (0, 0, 0.16), 0.035, STEEL),
        frustum((0, 0, 0.02), (0, 0, 0.42 * s.head), 0.34, c, 0.19),
        ball((0, 0, 0.05), 0.10, YELLOW if c != YELLOW else WHITE),
        ball((0.20, 0, -0.44), 0.04, RED if c != RED else BLACK),
    ])  # fmt: skip


def bed(c: Vector, s: Style) -> Body:
    return Body([
        box((0, 0, -0.30), (0.94, 0.56, 0.12), BROWN if c != BROWN else CREAM),
        box((0.02, 0, -0.18), (0.86, 0.52, 0.14), WHITE if c != WHITE else STEEL),
        box((0.14, 0, -0.14), (0.64, 0.57, 0.15), c),
        box((-0.46, 0, -0.14 * s.limb), (0.06, 0.58, 0.50 * s.head), BROWN if c != BROWN else CREAM),
        *pair(ellipsoid((-0.32, 0.13, -0.09), (0.09, 0.12, 0.05), CREAM if c != YELLOW else WHITE)),
        *pair(*[box((x, 0.24, -0.41), (0.07, 0.07, 0.12), BROWN if c != BROWN else CREAM) for x in (0.43, -0.43)]),
    ], scale=0.905, lift=0.15)  # fmt: skip


def cake(c: Vector, s: Style) -> Body:
    cream = CREAM if c not in (WHITE, YELLOW) else PINK
    ring = [
        (0.27, 0.0),
        (0.0, 0.27),
        (-0.27, 0.0),
        (0.0, -0.27),
        (0.19, 0.19),
        (-0.19, 0.19),
        (0.19, -0.19),
        (-0.19, -0.19),
    ]
    return Body([
        frustum((0, 0, -0.50), (0, 0, -0.45), 0.48, STEEL),
        frustum((0, 0, -0.45), (0, 0, -0.18), 0.41, c),
        frustum((0, 0, -0.20), (0, 0, -0.14), 0.42, cream),
        frustum((0, 0, -0.14), (0, 0, 0.06 * s.head), 0.27, c),
        *[ball((1.3 * x, 1.3 * y, -0.13), 0.05, cream) for x, y in ring],
        frustum((0, 0, 0.06), (0, 0, 0.26 * s.tail), 0.035, WHITE if c != WHITE else PINK),
        ellipsoid((0, 0, 0.31 * s.tail), (0.03, 0.03, 0.06), ORANGE),
    ], scale=0.97, lift=0.16)  # fmt: skip


def apple(c: Vector, s: Style) -> Body:
    return Body([
        ellipsoid((0, 0, -0.12), (0.37, 0.37, 0.34 * s.head), c),
        frustum((0, 0, 0.16), (0.03, 0, 0.42 * s.tail), 0.035, BROWN, 0.03),
        ellipsoid((0.14, 0, 0.33), (0.15, 0.07, 0.03), GREEN if c != GREEN else BROWN, pitch=20),
    ])  # fmt: skip


def ice_cream(c: Vector, s: Style) -> Body:
    return Body([
        frustum((0, 0, -0.50), (0, 0, 0.04), 0.02, ORANGE if c != ORANGE else BROWN, 0.24),
        ball((0, 0, 0.12), 0.25 * s.head, c),
        ball((0, 0, 0.36 * s.tail), 0.17, WHITE if c != WHITE else PINK),
        ball((0, 0, 0.54 * s.tail), 0.05, RED if c != RED else BROWN),
    ])  # fmt: skip


def tree(c: Vector, s: Style) -> Body:
    fruit = RED if c != RED else YELLOW
    places = [
        (0.32, 0.1, 0.1),
        (0.2, -0.25, 0.2),
        (0.1, 0.31, 0.2),
        (-0.3, 0.12, 0.15),
        (-0.15, -0.3, 0.1),
        (0.25, 0.0, 0.32),
    ]
    return Body([
        frustum((0, 0, -0.50), (0, 0, 0.0), 0.09 * s.limb, BROWN, 0.065),
        ellipsoid((0, 0, 0.16), (0.34, 0.34, 0.32 * s.head), c),
        *[ball(p, 0.05, fruit) for p in places],
    ])  # fmt: skip


def cactus(c: Vector, s: Style) -> Body:
    arm, up = 0.27, 0.22 * s.limb
    return Body([
        frustum((0, 0, -0.50), (0, 0, -0.26), 0.17, BROWN if c != BROWN else CREAM, 0.23),
        frustum((0, 0, -0.26), (0, 0, 0.34 * s.head), 0.12, c),
        ball((0, 0, 0.34 * s.head), 0.12, c),
        *pair(frustum((0, 0.08, 0.0), (0, arm, 0.0), 0.06, c), ball((0, arm, 0.0), 0.06, c),
              frustum((0, arm, 0.0), (0, arm, up), 0.06, c), ball((0, arm, up), 0.06, c)),
        ball((0, 0, 0.34 * s.head + 0.13), 0.055, PINK if c != PINK else YELLOW),
    ])  # fmt: skip


def castle(c: Vector, s: Style) -> Body:
    roof = RED if c != RED else BROWN
    tower = [part for x in (0.30, -0.30) for part in (
        frustum((x, 0.30, -0.50), (x, 0.30, 0.10 * s.limb), 0.13, c),
        frustum((x, 0.30, 0.10 * s.limb), (x, 0.30, 0.38 * s.head), 0.16, roof, 0.0),
    )]  # fmt: skip
    return Body([
        box((0, 0, -0.28), (0.60, 0.60, 0.44), c),
        *pair(*tower),
        *[box((x, y, -0.03), (0.09, 0.09, 0.08), c) for x in (0.26, -0.26) for y in (-0.08, 0.08)],
        *front(
            box((0.305, 0, -0.38), (0.02, 0.20, 0.24), BROWN if c != BROWN else BLACK),
            *pair(box((0.435, 0.30, -0.08), (0.02, 0.06, 0.12), BLACK if c != BLACK else GLASS)),
        ),
    ], scale=0.85, lift=0.15)  # fmt: skip


def hammer(c: Vector, s: Style) -> Body:
    return Body([
        frustum((0, 0, -0.50), (0, 0, 0.30), 0.055, c),
        box((-0.03, 0, 0.32), (0.34, 0.17, 0.17 * s.head), STEEL),
        frustum((0.13, 0, 0.32), (0.25 * s.limb, 0, 0.32), 0.12, STEEL),
        frustum((-0.18, 0, 0.32), (-0.36 * s.tail, 0, 0.28), 0.085, STEEL, 0.015),
        frustum((0, 0, -0.50), (0, 0, -0.28), 0.07, BLACK if c != BLACK else BROWN),
    ])  # fmt: skip


def teapot(c: Vector, s: Style) -> Body:
    return Body([
        ellipsoid((0, 0, -0.16), (0.29, 0.29, 0.26), c),
        frustum((0, 0, 0.06), (0, 0, 0.11), 0.15, c, 0.10),
        ball((0, 0, 0.15), 0.05 * s.head, WHITE if c != WHITE else BLACK),
        frustum((0.22, 0, -0.18), (0.48 * s.limb, 0, 0.06), 0.075, c, 0.04),
        frustum((-0.22, 0, -0.02), (-0.44 * s.tail, 0, -0.02), 0.035, c),
        frustum((-0.44 * s.tail, 0, -0.02), (-0.40 * s.tail, 0, -0.24), 0.035, c),
        frustum((-0.40 * s.tail, 0, -0.24), (-0.20, 0, -0.28), 0.035, c),
        frustum((0, 0, -0.46), (0, 0, -0.36), 0.20, c),
    ])  # fmt: skip


def mug(c: Vector, s: Style) -> Body:
    return Body([
        frustum((0, 0, -0.46), (0, 0, 0.20 * s.head), 0.28, c),
        frustum((0, 0, 0.16 * s.head), (0, 0, 0.205 * s.head), 0.24, BROWN if c != BROWN else CREAM),
        *[frustum(a, b, 0.045, c) for a, b in (
            ((-0.24, 0, 0.06), (-0.46 * s.tail, 0, 0.04)), ((-0.46 * s.tail, 0, 0.04), (-0.46 * s.tail, 0, -0.26)),
            ((-0.46 * s.tail, 0, -0.26), (-0.24, 0, -0.30)))],
        *[ball((0.265, y, z), 0.06, WHITE if c != WHITE else RED)
          for y, z in ((0.05, -0.08), (-0.05, -0.08), (0, -0.15))],
    ], lift=0.03)  # fmt: skip
