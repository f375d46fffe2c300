"""SDS weights w(t) as functions of alpha_bar = alpha^2; sigma^2 = 1 - alpha_bar."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def dreamfusion(alpha_bar: Float[Tensor, "b"]) -> Float[Tensor, "b"]:
    """sigma^2 (Poole et al. 2022)."""
    return 1 - alpha_bar


def uniform(alpha_bar: Float[Tensor, "b"]) -> Float[Tensor, "b"]:
    return torch.ones_like(alpha_bar)


def fantasia3d(alpha_bar: Float[Tensor, "b"]) -> Float[Tensor, "b"]:
    """alpha sigma^2 (Chen et al. 2023)."""
    return alpha_bar.sqrt() * (1 - alpha_bar)


def reconstruction(alpha_bar: Float[Tensor, "b"]) -> Float[Tensor, "b"]:
    """sigma / alpha: what the x_0-reconstruction loss amounts to (Shi et al. 2023, section 3.3)."""
    return ((1 - alpha_bar) / alpha_bar).sqrt()
