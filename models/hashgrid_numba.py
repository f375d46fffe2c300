"""CPU twin of `hashgrid.encode_torch`.

Compiled on first use (a few seconds) and cached, see data/jit.py; later processes load it in milliseconds. Two runs
are bit-equal whatever the number of threads: the forward writes each point once, and the backward gives each level's
table to one thread, which adds the points in order.
Features are stored level by level ("f n"); callers see the transpose. The small matrix products that follow are twice
as fast on that layout.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numba import njit, prange
from torch import Tensor
from torch.autograd.function import once_differentiable

from data.jit import cached_njit
from models.hashgrid import PRIMES, Levels

CHUNK = 4096  # points that one thread takes through all levels
P1, P2 = np.uint64(PRIMES[1]), np.uint64(PRIMES[2])
ONE = np.uint64(1)


@njit(inline="always")
def _locate(x, scale):
    """Cell and position in it along one axis. Written so that a NaN, too, ends in the cube: nothing checks bounds."""
    x = x if x > np.float32(0) else np.float32(0)
    x = x if x < np.float32(1) else np.float32(1)
    position = x * scale + np.float32(0.5)
    cell = np.uint64(position)
    return cell, position - np.float32(cell)


@njit(inline="always")
def _index(x, y, z, resolution, size, hashed):
    """Entry of a vertex; `size` is a power of two where the level is hashed."""
    if hashed:
        return (x ^ y * P1 ^ z * P2) & (size - ONE)
    index = x + resolution * (y + resolution * z)
    return index - size if index >= size else index


@cached_njit(fastmath={"contract", "nsz"})
def _gather(x, table, scale, resolution, size, hashed, out):
    """One level of one chunk: x (n, 3), table (size, 2) -> out (2, n)."""
    for i in range(x.shape[0]):
        ix, fx = _locate(x[i, 0], scale)
        iy, fy = _locate(x[i, 1], scale)
        iz, fz = _locate(x[i, 2], scale)
        gx, gy, gz = np.float32(1) - fx, np.float32(1) - fy, np.float32(1) - fz
        a, b = np.float32(0), np.float32(0)
        for corner in range(8):
            wx, vx = (fx, ix + ONE) if corner & 1 else (gx, ix)
            wy, vy = (fy, iy + ONE) if corner & 2 else (gy, iy)
            wz, vz = (fz, iz + ONE) if corner & 4 else (gz, iz)
            entry = _index(vx, vy, vz, resolution, size, hashed)
            weight = wx * wy * wz
            a += weight * table[entry, 0]
            b += weight * table[entry, 1]
        out[0, i], out[1, i] = a, b


@cached_njit(fastmath={"contract", "nsz"})
def _scatter(x, gradient, scale, resolution, size, hashed, table):
    """Transpose of `_gather` over all points: adds gradient (2, n) into table (size, 2)."""
    for i in range(x.shape[0]):
        ix, fx = _locate(x[i, 0], scale)
        iy, fy = _locate(x[i, 1], scale)
        iz, fz = _locate(x[i, 2], scale)
        gx, gy, gz = np.float32(1) - fx, np.float32(1) - fy, np.float32(1) - fz
        a, b = gradient[0, i], gradient[1, i]
        for corner in range(8):
            wx, vx = (fx, ix + ONE) if corner & 1 else (gx, ix)
            wy, vy = (fy, iy + ONE) if corner & 2 else (gy, iy)
            wz, vz = (fz, iz + ONE) if corner & 4 else (gz, iz)
            entry = _index(vx, vy, vz, resolution, size, hashed)
            weight = wx * wy * wz
            table[entry, 0] += weight * a
            table[entry, 1] += weight * b


@cached_njit(parallel=True)
def _forward(x, tables, scale, resolution, offset, size, hashed, out):
    for chunk in prange((x.shape[0] + CHUNK - 1) // CHUNK):
        points = slice(chunk * CHUNK, min((chunk + 1) * CHUNK, x.shape[0]))
        for i in range(scale.shape[0]):
            table = tables[offset[i] : offset[i] + size[i]]
            _gather(x[points], table, scale[i], resolution[i], size[i], hashed[i], out[2 * i : 2 * i + 2, points])


@cached_njit(parallel=True)
def _backward(x, gradient, scale, resolution, offset, size, hashed, tables):
    for i in prange(scale.shape[0]):
        table = tables[offset[i] : offset[i] + size[i]]
        _scatter(x, gradient[2 * i : 2 * i + 2], scale[i], resolution[i], size[i], hashed[i], table)


class _Encode(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, tables: Tensor, levels: Levels, known: Tensor | None) -> Tensor:
        ctx.x, ctx.levels, ctx.n_entries = x, levels, len(tables)
        if known is not None:
            return known.view_as(known)
        features = torch.empty(2 * len(levels.scale), len(x))
        _forward(x.numpy(), tables.numpy(), *_layout(levels), features.numpy())
        return features.t()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, None, None]:
        tables = torch.zeros(ctx.n_entries, 2)
        _backward(ctx.x.numpy(), gradient.t().contiguous().numpy(), *_layout(ctx.levels), tables.numpy())
        return None, tables, None, None


def _layout(levels: Levels) -> list[np.ndarray]:
    """Unsigned, so that no negative index has to be looked for."""
    unsigned = [a.astype(np.uint64) for a in (levels.resolution, levels.offset, levels.size)]
    return [levels.scale, *unsigned, levels.hashed]


def encode_numba(
    x: Float[Tensor, "n 3"], tables: Float[Tensor, "e k"], levels: Levels, known: Float[Tensor, "n f"] | None = None
) -> Float[Tensor, "n f"]:
    """Differentiable in the tables, not in x."""
    assert tables.shape[1] == 2, "the numba encoding is written for 2 features per level"
    assert not x.requires_grad, "the numba encoding has no gradient with respect to the points"
    return _Encode.apply(x.contiguous(), tables, levels, known)
