"""Vehicles: lamps and windscreens in front, tail lights behind."""

from __future__ import annotations

from data.toybox.body import Body, Style
from data.toybox.parts import (
    BLACK,
    BROWN,
    CREAM,
    GLASS,
    ORANGE,
    RED,
    STEEL,
    WHITE,
    YELLOW,
    Part,
    Vector,
    ball,
    box,
    ellipsoid,
    flanks,
    front,
    frustum,
    pair,
    rear,
)  # fmt: skip


def car(c: Vector, s: Style) -> Body:
    return Body([
        box((0, 0, -0.20), (0.92, 0.42, 0.20), c),
        box((-0.08, 0, -0.02), (0.46, 0.36, 0.18 * s.head), c),
        *front(box((0.155, 0, -0.02), (0.02, 0.30, 0.12), GLASS), axis=-0.08, inward=0.05),
        *rear(box((-0.315, 0, -0.02), (0.02, 0.30, 0.12), GLASS)),
        *flanks(box((-0.08, 0.185, -0.02), (0.34, 0.02, 0.12), GLASS)),
        *front(
            *pair(ball((0.46, 0.14, -0.18), 0.06, YELLOW if c != YELLOW else WHITE)),
            box((0.465, 0, -0.20), (0.02, 0.14, 0.08), BLACK if c != BLACK else STEEL),
            inward=0.25,
        ),
        *rear(*pair(box((-0.465, 0.15, -0.18), (0.02, 0.09, 0.07), RED if c != RED else ORANGE))),
        *_wheels((0.28, -0.28), 0.20, -0.31, 0.115 * s.limb),
    ])  # fmt: skip


def bus(c: Vector, s: Style) -> Body:
    return Body([
        box((0, 0, -0.06), (0.98, 0.36, 0.46 * s.head), c),
        *flanks(*[box((x, 0.185, 0.03), (0.17, 0.015, 0.15), GLASS) for x in (-0.33, -0.11, 0.11)]),
        *flanks(box((0.28, 0.185, -0.07), (0.14, 0.02, 0.34), GLASS))[1:],
        *flanks(box((0.28, 0.185, 0.03), (0.14, 0.015, 0.15), GLASS))[:1],
        *front(
            box((0.495, 0, 0.03), (0.015, 0.30, 0.18), GLASS),
            *pair(ball((0.49, 0.12, -0.19), 0.045, YELLOW if c != YELLOW else WHITE)),
            inward=0.31,
        ),
        *rear(*pair(box((-0.495, 0.13, -0.18), (0.015, 0.07, 0.06), RED if c != RED else ORANGE))),
        *_wheels((0.30, -0.30), 0.17, -0.31, 0.11 * s.limb),
    ], scale=0.98, lift=0.05)  # fmt: skip


def truck(c: Vector, s: Style) -> Body:
    return Body([
        *front(
            box((0.31, 0, -0.09), (0.30, 0.38, 0.36 * s.head), c),
            box((0.465, 0, -0.01), (0.02, 0.30, 0.14), GLASS),
            *pair(box((0.33, 0.195, -0.01), (0.16, 0.02, 0.13), GLASS)),
            inward=0.24,
        ),
        *rear(box((-0.17, 0, 0.0), (0.60, 0.42, 0.46), STEEL if c != WHITE else CREAM)),
        box((0, 0, -0.27), (0.92, 0.34, 0.06), BLACK),
        *front(*pair(ball((0.46, 0.13, -0.20), 0.045, YELLOW if c != YELLOW else WHITE)), inward=0.24),
        *rear(*pair(box((-0.47, 0.17, -0.20), (0.02, 0.06, 0.06), RED))),
        *_wheels((0.29, -0.12, -0.36), 0.18, -0.33, 0.105 * s.limb),
    ], scale=0.95, lift=0.06)  # fmt: skip


def train(c: Vector, s: Style) -> Body:
    return Body([
        *front(frustum((-0.10, 0, -0.08), (0.44, 0, -0.08), 0.16, c), inward=0.18),
        *rear(
            box((-0.28, 0, 0.02), (0.34, 0.40, 0.46 * s.head), c),
            box((-0.28, 0, 0.27 * s.head), (0.42, 0.46, 0.05), BLACK if c != BLACK else STEEL),
            *pair(box((-0.28, 0.205, 0.11), (0.18, 0.015, 0.14), GLASS)),
        ),
        *front(
            frustum((0.30, 0, 0.05), (0.30, 0, 0.28 * s.tail), 0.06, BLACK if c != BLACK else STEEL, 0.085),
            ball((0.45, 0, -0.02), 0.06, YELLOW if c != YELLOW else WHITE),
            inward=0.18,
        ),
        box((0.02, 0, -0.28), (0.92, 0.32, 0.06), STEEL),
        *front(frustum((0.40, 0, -0.34), (0.50, 0, -0.34), 0.14, RED if c != RED else BLACK, 0.05), inward=0.18),
        *_wheels((0.28, 0.02, -0.28), 0.17, -0.34, 0.10 * s.limb),
    ], scale=0.91, lift=0.04)  # fmt: skip


def boat(c: Vector, s: Style) -> Body:
    return Body([
        ellipsoid((0, 0, -0.22), (0.48, 0.20, 0.17), c),
        box((0, 0, -0.10), (0.78, 0.30, 0.05), BROWN if c != BROWN else CREAM),
        box((-0.16, 0, 0.0), (0.26, 0.22, 0.20 * s.head), WHITE if c != WHITE else STEEL),
        box((-0.025, 0, 0.03), (0.015, 0.16, 0.08), GLASS),
        *pair(ball((-0.16, 0.105, 0.02), 0.045, GLASS)),
        frustum((0.12, 0, -0.10), (0.12, 0, 0.50 * s.limb), 0.025, BROWN),
        box((0.12, 0, 0.28 * s.limb), (0.02, 0.36, 0.34), WHITE if c != WHITE else CREAM),
    ])  # fmt: skip


def airplane(c: Vector, s: Style) -> Body:
    return Body([
        ellipsoid((0, 0, -0.06), (0.50, 0.12, 0.12), c),
        *pair(box((0.04, 0.30 * s.limb, -0.08), (0.20, 0.44 * s.limb, 0.035), c)),
        *rear(
            *pair(box((-0.41, 0.11, -0.02), (0.11, 0.20, 0.025), c)),
            box((-0.42, 0, 0.08), (0.12, 0.025, 0.22 * s.tail), c),
        ),
        *front(ellipsoid((0.22, 0, 0.02), (0.13, 0.085, 0.07), GLASS), inward=0.17),
        *front(
            ball((0.49, 0, -0.06), 0.045, BLACK),
            box((0.50, 0, -0.06), (0.02, 0.05, 0.34), STEEL),
            inward=0.36,
        ),
        *pair(frustum((0.0, 0.25, -0.13), (0.17, 0.25, -0.13), 0.055, STEEL)),
    ])  # fmt: skip


def _wheels(positions: tuple[float, ...], side: float, z: float, radius: float) -> list[Part]:
    out = [frustum((x, side - 0.04, z), (x, side + 0.04, z), radius, BLACK) for x in positions]
    hub = [frustum((x, side + 0.03, z), (x, side + 0.05, z), 0.5 * radius, STEEL) for x in positions]
    return pair(*out, *hub)
