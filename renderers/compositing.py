"""Volume rendering of packed samples (Max 1995; NeRF eq. 3): the definitions of the kernels."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from renderers.marching import Segments


def weights(density: Float[Tensor, "s"], segments: Segments) -> Float[Tensor, "s"]:
    """w_i = T_i (1 - exp(-density_i dt_i)), T_i = exp(-sum_{j<i} density_j dt_j) along the same ray."""
    transmittance, alpha = _transmittance(density, segments)
    return transmittance * alpha


def visible(
    density: Float[Tensor, "s"], segments: Segments, alpha_threshold: float, stop_below: float
) -> Bool[Tensor, "s"]:
    """Samples that light reaches (T >= stop_below) and that stop some of it (alpha >= alpha_threshold), as nerfacc."""
    transmittance, alpha = _transmittance(density, segments)
    return (transmittance >= stop_below) & (alpha >= alpha_threshold)


def accumulate(weight: Float[Tensor, "s"], values: Float[Tensor, "s c"], segments: Segments) -> Float[Tensor, "r c"]:
    """Sums of weight * value along each ray."""
    total = values.new_zeros(segments.n_rays, values.shape[1])
    return total.index_add(0, segments.ray, weight[:, None] * values)


def _transmittance(density: Float[Tensor, "s"], segments: Segments) -> tuple[Float[Tensor, "s"], Float[Tensor, "s"]]:
    """T before each sample, and the sample's alpha. One running sum over all rays, hence in double precision."""
    optical_depth = density * (segments.t_end - segments.t_start)
    running = optical_depth.double().cumsum(dim=0)
    before = running - optical_depth
    first = torch.searchsorted(segments.ray, segments.ray)  # index of the first sample of the same ray
    transmittance = torch.exp(before[first] - before)
    return transmittance.to(density.dtype), -torch.expm1(-optical_depth)
