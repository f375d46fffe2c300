"""Whether an object shows each side where it belongs: the Janus problem of an object whose truth is known."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

JANUS_BELOW = 0.75  # of the views; an object that is the same from everywhere has 3 of 8


def looks_like(images: Float[Tensor, "v h w 3"], true: Float[Tensor, "u h w 3"]) -> Int[Tensor, "v"]:
    """Which of the true views each image is nearest to, by mean squared error."""
    return torch.cdist(images.flatten(1), true.flatten(1)).argmin(dim=1)


def facing(images: Float[Tensor, "v h w 3"], true: Float[Tensor, "v h w 3"], azimuth: Float[Tensor, "v"]) -> float:
    """The share of the views that look like the true one from there, or from at most 45 degrees beside it.

    1 for the true object; an object with the same face on every side has the share of the circle that this covers.
    """
    off = azimuth[looks_like(images, true)] - azimuth
    off = torch.remainder(off + math.pi, 2 * math.pi).sub(math.pi).abs()
    return (off < math.pi / 4 + 1e-3).float().mean().item()
