"""Whether an object shows each side where it belongs: the Janus problem of an object whose truth is known."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import interpolate, pad

COARSE, SHIFT = 32, 2  # pixels


def looks_like(images: Float[Tensor, "v h w 3"], true: Float[Tensor, "u h w 3"]) -> Int[Tensor, "v"]:
    """Which of the true views each image is nearest to, by mean squared error at COARSE pixels, wherever in the picture
    (within SHIFT of those) it stands."""
    small, wanted = (interpolate(x.movedim(-1, 1), (COARSE, COARSE), mode="area") for x in (images, true))
    padded = pad(wanted, [SHIFT] * 4, mode="replicate")
    shifted = padded.unfold(2, COARSE, 1).unfold(3, COARSE, 1)  # u c dy dx y x
    flat = shifted.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)  # u s n
    return torch.stack([torch.cdist(small.flatten(1), one).amin(dim=1) for one in flat], dim=1).argmin(dim=1)


def facing(images: Float[Tensor, "v h w 3"], true: Float[Tensor, "v h w 3"], azimuth: Float[Tensor, "v"]) -> float:
    """The share of the views that look like the true one from there, or from at most 45 degrees beside it.

    1 for the true object; an object with the same face on every side has the share of the circle that this covers.
    """
    off = azimuth[looks_like(images, true)] - azimuth
    off = torch.remainder(off + math.pi, 2 * math.pi).sub(math.pi).abs()
    return (off < math.pi / 4 + 1e-3).float().mean().item()
