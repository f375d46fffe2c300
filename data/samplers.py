"""Where cameras stand: random views in training, fixed ones for looking and measuring. Angles here in degrees."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from data.cameras import Cameras, look_at, look_at_origin
from data.ranges import Fraction, NonNegativeFloat, PositiveFloat, PositiveInt


@runtime_checkable
class CameraSampler(Protocol):
    """Draws n cameras; groups of views that belong together are contiguous, view fastest."""

    size: int  # pixels; a schedule may change it
    n_view: int  # views of one object; n is a multiple of it

    def draw(self, n: int, rng: torch.Generator) -> Cameras: ...


@dataclass
class FourViews:
    """Views of one object, 360 / n_view degrees apart from a random start, or from the azimuth `start`; elevation, fov
    and distance shared.

    The distance is `framing * U(1 - jitter, 1 + jitter) / tan(fov / 2)`, so that the object's size in
    the picture hardly depends on the fov (MVDream: U(0.8, 1.0) / tan(fov / 2)). `on_sphere`: see `_elevations`.
    """

    size: PositiveInt = 64
    n_view: PositiveInt = 4
    elevation: tuple[float, float] = (0.0, 30.0)
    fov: tuple[PositiveFloat, PositiveFloat] = (35.0, 45.0)
    framing: PositiveFloat = 0.68
    jitter: Fraction = 0.03
    on_sphere: Fraction = 0.0
    start: float | None = None

    def draw(self, n: int, rng: torch.Generator) -> Cameras:
        if n % self.n_view:
            raise ValueError(f"n={n} is not a multiple of n_view={self.n_view}")
        groups = n // self.n_view
        start = _uniform(groups, (0.0, 360.0) if self.start is None else (self.start, self.start), rng)
        elevation = _elevations(groups, self.elevation, self.on_sphere, rng)
        fov = _uniform(groups, self.fov, rng)
        distance = self.framing * _uniform(groups, (1 - self.jitter, 1 + self.jitter), rng)
        distance = distance / torch.tan(torch.deg2rad(fov) / 2)
        azimuth = start[:, None] + 360.0 / self.n_view * torch.arange(self.n_view)
        repeat = lambda x: x.repeat_interleave(self.n_view)
        return _from_degrees(azimuth.flatten(), repeat(elevation), repeat(distance), repeat(fov), self.size)


@dataclass
class Orbit:
    """Independent views. The share `frontal` of them comes from the front, +- 45 degrees, as web images do."""

    size: PositiveInt = 64
    elevation: tuple[float, float] = (0.0, 30.0)
    fov: tuple[PositiveFloat, PositiveFloat] = (35.0, 45.0)
    framing: PositiveFloat = 0.68
    jitter: Fraction = 0.03
    frontal: Fraction = 0.0
    n_view: ClassVar[int] = 1

    def draw(self, n: int, rng: torch.Generator) -> Cameras:
        spread = torch.where(torch.rand(n, generator=rng) < self.frontal, 45.0, 180.0)
        azimuth = spread * _uniform(n, (-1.0, 1.0), rng)
        elevation, fov = _uniform(n, self.elevation, rng), _uniform(n, self.fov, rng)
        distance = self.framing * _uniform(n, (1 - self.jitter, 1 + self.jitter), rng)
        return _from_degrees(azimuth, elevation, distance / torch.tan(torch.deg2rad(fov) / 2), fov, self.size)


@dataclass
class RandomViews:
    """Independent views from a range of distances, whatever their fov; together they go around the object.

    on_sphere: see `_elevations`.
    Cameras may be shaken: `position_shift` bounds a uniform shift along each axis, `target_shift` and `up_shift` are
    standard deviations of the point looked at and of the direction up (threestudio: 0.1, 0.2, 0.02).
    """

    size: PositiveInt = 64
    elevation: tuple[float, float] = (-10.0, 45.0)
    fov: tuple[PositiveFloat, PositiveFloat] = (40.0, 70.0)
    distance: tuple[PositiveFloat, PositiveFloat] = (1.5, 2.0)
    on_sphere: Fraction = 0.5
    position_shift: NonNegativeFloat = 0.0
    target_shift: NonNegativeFloat = 0.0
    up_shift: NonNegativeFloat = 0.0
    n_view: ClassVar[int] = 1

    def draw(self, n: int, rng: torch.Generator) -> Cameras:
        azimuth = (torch.arange(n) + torch.rand(n, generator=rng)) * (360.0 / n) - 180.0
        elevation = _elevations(n, self.elevation, self.on_sphere, rng)
        distance, fov = _uniform(n, self.distance, rng), _uniform(n, self.fov, rng)
        return self._shaken(_from_degrees(azimuth, elevation, distance, fov, self.size), rng)

    def _shaken(self, cameras: Cameras, rng: torch.Generator) -> Cameras:
        n = len(cameras)
        position = cameras.position + self.position_shift * (2 * torch.rand(n, 3, generator=rng) - 1)
        target = self.target_shift * torch.randn(n, 3, generator=rng)
        up = torch.tensor([0.0, 0.0, 1.0]) + self.up_shift * torch.randn(n, 3, generator=rng)
        return replace(cameras, c2w=look_at(position, target, up))


def turntable(
    n: int,
    size: int,
    elevation: float = 15.0,
    fov: float = 40.0,
    framing: float = 0.68,
    start: float = 0.0,
    distance: float | None = None,
    span: float = 360.0,
) -> Cameras:
    """n views around the object, `span` / n apart, the first from azimuth `start` (0: its front), from `distance` or
    else so far that `framing` fills the picture; degrees."""
    azimuth = start + span / n * torch.arange(n)
    distance = framing / math.tan(math.radians(fov) / 2) if distance is None else distance
    full = lambda x: torch.full((n,), x)
    return _from_degrees(azimuth, full(elevation), full(distance), full(fov), size)


def _from_degrees(
    azimuth: Float[Tensor, "b"],
    elevation: Float[Tensor, "b"],
    distance: Float[Tensor, "b"],
    fov: Float[Tensor, "b"],
    size: int,
) -> Cameras:
    return look_at_origin(torch.deg2rad(azimuth), torch.deg2rad(elevation), distance, torch.deg2rad(fov), size, size)


def _elevations(n: int, bounds: Sequence[float], on_sphere: float, rng: torch.Generator) -> Float[Tensor, "n"]:
    """Uniform in degrees or, in the share `on_sphere` of the batches, uniform in area: sin(elevation) is uniform.

    threestudio (2023) has a share of 0.5. MVDream's copy of it meant the same, but gets the bounds of the sine wrong.
    """
    if on_sphere and torch.rand((), generator=rng).item() < on_sphere:
        low, high = (math.sin(math.radians(bound)) for bound in bounds)
        return torch.rad2deg(torch.asin(_uniform(n, (low, high), rng)))
    return _uniform(n, bounds, rng)


def _uniform(n: int, bounds: Sequence[float], rng: torch.Generator) -> Float[Tensor, "n"]:
    low, high = bounds
    return low + (high - low) * torch.rand(n, generator=rng)
