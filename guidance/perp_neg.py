"""Perp-Neg (Armandpour et al. 2023): move away from what is not wanted only where that does not undo the wanted."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor


def perpendicular(x: Float[Tensor, "b c y x"], y: Float[Tensor, "b c y x"]) -> Float[Tensor, "b c y x"]:
    """The part of x at right angles to y: x - (<x, y> / |y|^2) y, per image."""
    dot = (x * y).sum(dim=(1, 2, 3), keepdim=True)
    square = y.square().sum(dim=(1, 2, 3), keepdim=True).clamp(min=1e-6)
    return x - dot / square * y
