"""The solids that toys are built of: affine images of three canonical ones, which a ray meets in closed form."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

Number = float | int
Vector = tuple[Number, Number, Number]

ELLIPSOID, BOX, FRUSTUM = 0, 1, 2  # unit ball; [-1, 1]^3; z in [-1, 1], radius 1 below to `taper` above

# The colours of captions, and those that only details have
RED: Vector = (0.86, 0.09, 0.09)
ORANGE: Vector = (0.98, 0.50, 0.06)
YELLOW: Vector = (0.98, 0.86, 0.12)
GREEN: Vector = (0.12, 0.62, 0.20)
BLUE: Vector = (0.10, 0.28, 0.85)
PURPLE: Vector = (0.50, 0.14, 0.66)
PINK: Vector = (0.98, 0.50, 0.70)
BROWN: Vector = (0.42, 0.23, 0.10)
WHITE: Vector = (0.96, 0.96, 0.95)
BLACK: Vector = (0.09, 0.09, 0.10)
GLASS: Vector = (0.60, 0.82, 0.93)
STEEL: Vector = (0.70, 0.72, 0.75)
CREAM: Vector = (0.96, 0.87, 0.68)
ROSE: Vector = (0.85, 0.26, 0.48)


@dataclass(frozen=True)
class Turning:
    """How what is in front gets to another side: around the upright axis through (x, 0), x = `axis`; at the left and
    the right then `inward`, because most bodies are longer than wide."""

    axis: Number = 0.0
    inward: Number = 0.0


@dataclass(frozen=True)
class Part:
    shape: int
    matrix: np.ndarray  # 3 x 3, canonical to world
    center: np.ndarray  # 3
    color: Vector  # albedo in [0, 1]
    taper: float = 1.0
    turning: Turning | None = None  # of what only the front has
    side: int | None = None  # degrees of azimuth: only that side has it, and loses it to a second front

    def turned(self, degrees: int) -> Part:
        """What the front has, on another side: a multiple of 90 degrees away, counterclockwise from above."""
        assert self.turning is not None
        if degrees % 360 == 0:
            return self
        turn, axis = turn_about_z(degrees), np.array([self.turning.axis, 0.0, 0.0])
        inward = np.array([0.0, self.turning.inward * turn[1, 0], 0.0])
        return replace(self, matrix=turn @ self.matrix, center=turn @ (self.center - axis) + axis - inward)

    def mirrored(self) -> Part:
        """The same part on the other side, y -> -y."""
        flip = np.diag([1.0, -1.0, 1.0])
        return replace(self, matrix=flip @ self.matrix @ flip, center=flip @ self.center)


def ellipsoid(center: Vector, radii: Vector, color: Vector, pitch: Number = 0.0) -> Part:
    """`pitch` (degrees) turns the solid about the y axis; positive tips its +x end up."""
    return Part(ELLIPSOID, _pitched(pitch) @ np.diag(radii), np.array(center), color)


def ball(center: Vector, radius: Number, color: Vector) -> Part:
    return ellipsoid(center, (radius, radius, radius), color)


def box(center: Vector, size: Vector, color: Vector, pitch: Number = 0.0) -> Part:
    """`size` is the full edge length."""
    return Part(BOX, _pitched(pitch) @ np.diag(size) / 2, np.array(center), color)


def frustum(start: Vector, end: Vector, radius: Number, color: Vector, end_radius: Number | None = None) -> Part:
    """A cylinder from `start` to `end`, a cone where `end_radius` is 0."""
    axis = (np.array(end) - np.array(start)) / 2
    length = float(np.linalg.norm(axis))
    side = np.cross(axis / length, [0.0, 1.0, 0.0] if abs(axis[1]) < 0.9 * length else [1.0, 0.0, 0.0])
    side /= np.linalg.norm(side)
    other = np.cross(axis / length, side)
    matrix = np.stack([side * radius, other * radius, axis], axis=1)
    taper = 1.0 if end_radius is None else end_radius / radius
    return Part(FRUSTUM, matrix, (np.array(start) + np.array(end)) / 2, color, taper)


def wedge(center: Vector, size: Vector, color: Vector) -> Part:
    """A gable: the ridge runs along y. A box turned by 45 degrees whose lower half the walls hide."""
    turned = _pitched(45.0) @ np.diag([1.0, 1.0, 1.0]) / np.sqrt(2)
    return Part(BOX, np.diag(np.array(size) / 2) @ turned @ np.diag([1.0, np.sqrt(2), 1.0]), np.array(center), color)


def pair(*parts: Part) -> list[Part]:
    """Each part and its mirror image."""
    return [p for part in parts for p in (part, part.mirrored())]


def front(*parts: Part, axis: Number = 0.0, inward: Number = 0.0) -> list[Part]:
    """Marks what only the front has: faces, lamps, doors. See `Turning`."""
    return [replace(part, turning=Turning(axis, inward)) for part in parts]


def rear(*parts: Part) -> list[Part]:
    """Marks what only the back has, and what would hide a front there: tails, tail lights."""
    return [replace(part, side=180) for part in parts]


def flanks(*parts: Part) -> list[Part]:
    """As `pair`, of what a front would take the place of: the windows of a bus."""
    return [p for part in parts for p in (replace(part, side=90), replace(part.mirrored(), side=270))]


def turn_about_z(degrees: int) -> np.ndarray:
    """By a multiple of 90 degrees, exactly; counterclockwise from above."""
    assert degrees % 90 == 0
    cos, sin = ((1, 0), (0, 1), (-1, 0), (0, -1))[degrees // 90 % 4]
    return np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])


def _pitched(degrees: Number) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, 0.0, -s], [0.0, 1.0, 0.0], [s, 0.0, c]])
