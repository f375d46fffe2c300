"""CPU twin of `marching.march`, equal to it to the last bit. Compiled once: see models/hashgrid_numba."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float
from numba import njit, prange
from torch import Tensor

from data.jit import cached_njit
from renderers.marching import Segments

HALF = np.float32(0.5)


@njit(inline="always")
def _cell(o, d, t, scale, resolution):
    index = np.int64(((o + t * d) * scale + HALF) * resolution)
    return min(max(index, 0), np.int64(resolution) - 1)


@cached_njit()
def _walk(o, d, jitter, occupied, radius_squared, scale, step, middle):
    """One ray: writes the middles of its kept segments into `middle` and returns how many there are."""
    along = o[0] * d[0] + o[1] * d[1] + o[2] * d[2]
    discriminant = along * along - (o[0] * o[0] + o[1] * o[1] + o[2] * o[2] - radius_squared)
    half = np.sqrt(max(discriminant, np.float32(0)))
    near, far = max(-along - half, np.float32(0)), half - along
    resolution = np.float32(occupied.shape[0])
    count = 0
    for i in range(middle.shape[0]):
        t = near + (np.float32(i) + jitter) * step
        if not t < far:
            break
        x = _cell(o[0], d[0], t, scale, resolution)
        y = _cell(o[1], d[1], t, scale, resolution)
        z = _cell(o[2], d[2], t, scale, resolution)
        if occupied[x, y, z]:
            middle[count] = t
            count += 1
    return count


@cached_njit(parallel=True)
def _march(origins, directions, jitter, occupied, radius_squared, scale, step, middle, count):
    for r in prange(origins.shape[0]):
        count[r] = _walk(origins[r], directions[r], jitter[r], occupied, radius_squared, scale, step, middle[r])


@cached_njit()
def _pack(middle, count, end, half, ray, t_start, t_end):
    for r in range(count.shape[0]):
        begin = end[r] - count[r]
        for i in range(count[r]):
            ray[begin + i] = r
            t_start[begin + i] = middle[r, i] - half
            t_end[begin + i] = middle[r, i] + half


def march_numba(
    origins: Float[Tensor, "r 3"],
    directions: Float[Tensor, "r 3"],
    jitter: Float[Tensor, "r"],
    occupied: Bool[Tensor, "x y z"],
    radius: float,
    step: float,
) -> Segments:
    middle = np.empty((len(origins), round(2 * radius / step)), np.float32)
    count = np.empty(len(origins), np.int64)
    rays = (a.contiguous().numpy() for a in (origins, directions, jitter))
    constants = (np.float32(radius**2), np.float32(1 / (2 * radius)), np.float32(step))
    _march(*rays, occupied.numpy(), *constants, middle, count)
    end = np.cumsum(count)
    n = int(end[-1]) if len(end) else 0
    ray, t_start, t_end = torch.empty(n, dtype=torch.long), torch.empty(n), torch.empty(n)
    _pack(middle, count, end, np.float32(step / 2), ray.numpy(), t_start.numpy(), t_end.numpy())
    return Segments(ray, t_start, t_end, n_rays=len(origins))
