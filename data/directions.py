"""From which side a camera sees the object, in the words that captions have for it."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

SIDE, FRONT, BACK, OVERHEAD = range(4)
DIRECTIONS = ("side", "front", "back")  # of which training captions speak; OVERHEAD is beyond their cameras


def wrapped_degrees(azimuth: Float[Tensor, "b"]) -> Float[Tensor, "b"]:
    """Radians, any number of turns, to degrees in [-180, 180)."""
    return torch.rad2deg(torch.remainder(azimuth + math.pi, 2 * math.pi) - math.pi)


def direction(
    azimuth: Float[Tensor, "b"],
    elevation: Float[Tensor, "b"],
    front: float = 45.0,
    back: float = 45.0,
    overhead: float | None = 60.0,
) -> Int[Tensor, "b"]:
    """SIDE, FRONT where |azimuth| < front, BACK where it is within `back` of 180, OVERHEAD where elevation > overhead;
    the later wins. Azimuth and elevation in radians, thresholds in degrees (threestudio 2023)."""
    degrees = wrapped_degrees(azimuth)
    result = torch.full_like(azimuth, SIDE, dtype=torch.long)
    result = torch.where(degrees.abs() < front, FRONT, result)
    result = torch.where(degrees.abs() > 180 - back, BACK, result)
    return result if overhead is None else torch.where(torch.rad2deg(elevation) > overhead, OVERHEAD, result)
