"""CPU twins of the functions in `compositing`. Compiled once, see models/hashgrid_numba.py.

Samples are split into N_PARTS runs of whole rays, and a ray is always summed in order: the number of threads does not
change a bit of the result.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from numba import prange
from torch import Tensor
from torch.autograd.function import once_differentiable

from data.jit import cached_njit
from renderers.marching import Segments

N_PARTS = 64
ONE = np.float32(1)


@cached_njit()
def _part(ray, index):
    """First sample of part `index`: an even split, moved on to where a ray begins."""
    i = index * ray.shape[0] // N_PARTS
    while 0 < i < ray.shape[0] and ray[i] == ray[i - 1]:
        i += 1
    return i


@cached_njit(parallel=True)
def _weights(density, t_start, t_end, ray, before, weight):
    """Also writes T before each sample."""
    for part in prange(N_PARTS):
        transmittance = ONE
        begin, end = _part(ray, part), _part(ray, part + 1)
        for i in range(begin, end):
            if i == begin or ray[i] != ray[i - 1]:
                transmittance = ONE
            alpha = -np.expm1(-density[i] * (t_end[i] - t_start[i]))
            before[i] = transmittance
            weight[i] = transmittance * alpha
            transmittance *= ONE - alpha


@cached_njit(parallel=True)
def _visible(density, t_start, t_end, ray, alpha_threshold, stop_below, keep):
    for part in prange(N_PARTS):
        transmittance = ONE
        begin, end = _part(ray, part), _part(ray, part + 1)
        for i in range(begin, end):
            if i == begin or ray[i] != ray[i - 1]:
                transmittance = ONE
            keep[i] = False
            if transmittance >= stop_below:
                alpha = -np.expm1(-density[i] * (t_end[i] - t_start[i]))
                keep[i] = alpha >= alpha_threshold
                transmittance *= ONE - alpha


@cached_njit(parallel=True)
def _weights_backward(gradient, t_start, t_end, ray, before, weight, density_gradient):
    """dL/d density_i = dt_i (g_i T_{i+1} - sum_{j>i} g_j w_j), the sum over the same ray, from its far end."""
    for part in prange(N_PARTS):
        behind = np.float32(0)
        begin, end = _part(ray, part), _part(ray, part + 1)
        for i in range(end - 1, begin - 1, -1):
            if i == end - 1 or ray[i] != ray[i + 1]:
                behind = np.float32(0)
            density_gradient[i] = (t_end[i] - t_start[i]) * (gradient[i] * (before[i] - weight[i]) - behind)
            behind += gradient[i] * weight[i]


@cached_njit(parallel=True)
def _accumulate(weight, values, ray, total):
    for part in prange(N_PARTS):
        for i in range(_part(ray, part), _part(ray, part + 1)):
            for c in range(values.shape[1]):
                total[ray[i], c] += weight[i] * values[i, c]


@cached_njit(parallel=True)
def _accumulate_backward(gradient, weight, values, ray, weight_gradient, values_gradient):
    for i in prange(ray.shape[0]):
        total = np.float32(0)
        for c in range(values.shape[1]):
            total += gradient[ray[i], c] * values[i, c]
            values_gradient[i, c] = gradient[ray[i], c] * weight[i]
        weight_gradient[i] = total


class _Weights(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, density: Tensor, segments: Segments) -> Tensor:
        before, weight = torch.empty_like(density), torch.empty_like(density)
        _weights(*_numpy(density, segments.t_start, segments.t_end, segments.ray, before, weight))
        ctx.saved = (segments.t_start, segments.t_end, segments.ray, before, weight.clone())
        return weight

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        density_gradient = torch.empty_like(gradient, memory_format=torch.contiguous_format)
        _weights_backward(*_numpy(gradient, *ctx.saved, density_gradient))
        return density_gradient, None


class _Accumulate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, values: Tensor, segments: Segments) -> Tensor:
        total = values.new_zeros(segments.n_rays, values.shape[1])
        _accumulate(*_numpy(weight, values, segments.ray, total))
        ctx.saved = (weight, values, segments.ray)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        weight, values, ray = ctx.saved
        weight_gradient = torch.empty_like(weight, memory_format=torch.contiguous_format)
        values_gradient = torch.empty_like(values, memory_format=torch.contiguous_format)
        _accumulate_backward(*_numpy(gradient, weight, values, ray, weight_gradient, values_gradient))
        return weight_gradient, values_gradient, None


def _numpy(*tensors: Tensor) -> list[np.ndarray]:
    """Contiguous views, so that each kernel is compiled for one signature only."""
    return [tensor.detach().contiguous().numpy() for tensor in tensors]


def weights_numba(density: Float[Tensor, "s"], segments: Segments) -> Float[Tensor, "s"]:
    return _Weights.apply(density.contiguous(), segments)


def visible_numba(
    density: Float[Tensor, "s"], segments: Segments, alpha_threshold: float, stop_below: float
) -> Bool[Tensor, "s"]:
    keep = torch.empty(len(density), dtype=torch.bool)
    samples = _numpy(density, segments.t_start, segments.t_end, segments.ray)
    _visible(*samples, np.float32(alpha_threshold), np.float32(stop_below), keep.numpy())
    return keep


def accumulate_numba(
    weight: Float[Tensor, "s"], values: Float[Tensor, "s c"], segments: Segments
) -> Float[Tensor, "r c"]:
    return _Accumulate.apply(weight, values, segments)
