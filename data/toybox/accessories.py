"""What creatures wear, placed at the anchors of their bodies."""

from __future__ import annotations

from data.toybox.body import Body
from data.toybox.parts import (
    BLACK,
    BROWN,
    STEEL,
    YELLOW,
    Number,
    Part,
    Turning,
    Vector,
    box,
    ellipsoid,
    front,
    frustum,
    pair,
    rear,
)


def hat(body: Body, c: Vector) -> list[Part]:
    """A top hat with a band."""
    assert body.crown is not None
    (x, y, z), r = body.crown
    band = BLACK if c != BLACK else STEEL
    return _on_each_head(
        body,
        frustum((x, y, z - 0.02), (x, y, z + 0.02), 1.15 * r, c),
        frustum((x, y, z), (x, y, z + 0.20), 0.70 * r, c),
        frustum((x, y, z + 0.02), (x, y, z + 0.06), 0.73 * r, band),
    )


def scarf(body: Body, c: Vector) -> list[Part]:
    """A ring about the neck and one end hanging down in front, on the left."""
    assert body.neck is not None
    (x, y, z), r = body.neck
    tilt = 0.0 if body.upright else 0.05
    end = box((x + 1.18 * r, y + 0.45 * r, z - 0.10), (0.05, 0.11, 0.22), c)
    return [
        *_on_each_head(body, frustum((x + tilt, y, z - 0.045), (x - tilt, y, z + 0.045), 1.22 * r, c)),
        *_in_front(body, x, end),
    ]


def backpack(body: Body, c: Vector) -> list[Part]:
    """Behind those who stand, on top of those on four legs."""
    assert body.back is not None
    x, y, z = body.back
    flap = BROWN if c != BROWN else YELLOW
    if body.upright:
        return rear(
            box((x - 0.09, y, z), (0.20, 0.28, 0.32), c), box((x - 0.20, y, z - 0.06), (0.04, 0.18, 0.14), flap)
        )
    return [box((x, y, z + 0.09), (0.30, 0.28, 0.20), c), *pair(box((x, y + 0.15, z + 0.06), (0.16, 0.04, 0.11), flap))]


def crown(body: Body, c: Vector) -> list[Part]:
    """A ring with five points."""
    assert body.crown is not None
    (x, y, z), r = body.crown
    around = [(1.0, 0.0), (0.31, 0.95), (-0.81, 0.59), (-0.81, -0.59), (0.31, -0.95)]
    ring = [frustum((x, y, z - 0.02), (x, y, z + 0.08), 0.82 * r, c)]
    points = [
        frustum(
            (x + 0.72 * r * u, y + 0.72 * r * v, z + 0.08), (x + 0.8 * r * u, y + 0.8 * r * v, z + 0.20), 0.05, c, 0.0
        )
        for u, v in around
    ]
    gem = ellipsoid((x + 0.82 * r, y, z + 0.03), (0.03, 0.04, 0.04), YELLOW if c != YELLOW else STEEL)
    return [*_on_each_head(body, *ring, *points), *_in_front(body, x, gem)]


def _on_each_head(body: Body, *parts: Part) -> list[Part]:
    return _in_front(body, 0.0, *parts) if body.head else list(parts)


def _in_front(body: Body, axis: Number, *parts: Part) -> list[Part]:
    turning = body.head or Turning(axis)
    return front(*parts, axis=turning.axis, inward=turning.inward)
