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
def _slope(x, scale):
    """d position / d x: 0 where x is clamped (and at a NaN)."""
    return scale if np.float32(0) <= x <= np.float32(1) else np.float32(0)


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


@cached_njit(fastmath={"contract", "nsz"})
def _gather_slopes(x, table, scale, resolution, size, hashed, out, slopes):
    """`_gather`, and the derivatives with respect to x: slopes (2, 3, n)."""
    for i in range(x.shape[0]):
        ix, fx = _locate(x[i, 0], scale)
        iy, fy = _locate(x[i, 1], scale)
        iz, fz = _locate(x[i, 2], scale)
        gx, gy, gz = np.float32(1) - fx, np.float32(1) - fy, np.float32(1) - fz
        a, ax, ay, az = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
        b, bx, by, bz = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
        for corner in range(8):
            wx, sx, vx = (fx, np.float32(1), ix + ONE) if corner & 1 else (gx, np.float32(-1), ix)
            wy, sy, vy = (fy, np.float32(1), iy + ONE) if corner & 2 else (gy, np.float32(-1), iy)
            wz, sz, vz = (fz, np.float32(1), iz + ONE) if corner & 4 else (gz, np.float32(-1), iz)
            entry = _index(vx, vy, vz, resolution, size, hashed)
            first, second = table[entry, 0], table[entry, 1]
            weight, dx, dy, dz = wx * wy * wz, sx * wy * wz, wx * sy * wz, wx * wy * sz
            a, ax, ay, az = a + weight * first, ax + dx * first, ay + dy * first, az + dz * first
            b, bx, by, bz = b + weight * second, bx + dx * second, by + dy * second, bz + dz * second
        out[0, i], out[1, i] = a, b
        kx, ky, kz = _slope(x[i, 0], scale), _slope(x[i, 1], scale), _slope(x[i, 2], scale)
        slopes[0, 0, i], slopes[0, 1, i], slopes[0, 2, i] = kx * ax, ky * ay, kz * az
        slopes[1, 0, i], slopes[1, 1, i], slopes[1, 2, i] = kx * bx, ky * by, kz * bz


@cached_njit(fastmath={"contract", "nsz"})
def _scatter_slopes(x, gradient, slopes, scale, resolution, size, hashed, table):
    """Transpose of `_gather_slopes` over all points: gradient (2, n), slopes (2, 3, n)."""
    for i in range(x.shape[0]):
        ix, fx = _locate(x[i, 0], scale)
        iy, fy = _locate(x[i, 1], scale)
        iz, fz = _locate(x[i, 2], scale)
        gx, gy, gz = np.float32(1) - fx, np.float32(1) - fy, np.float32(1) - fz
        kx, ky, kz = _slope(x[i, 0], scale), _slope(x[i, 1], scale), _slope(x[i, 2], scale)
        a, ax, ay, az = gradient[0, i], kx * slopes[0, 0, i], ky * slopes[0, 1, i], kz * slopes[0, 2, i]
        b, bx, by, bz = gradient[1, i], kx * slopes[1, 0, i], ky * slopes[1, 1, i], kz * slopes[1, 2, i]
        for corner in range(8):
            wx, sx, vx = (fx, np.float32(1), ix + ONE) if corner & 1 else (gx, np.float32(-1), ix)
            wy, sy, vy = (fy, np.float32(1), iy + ONE) if corner & 2 else (gy, np.float32(-1), iy)
            wz, sz, vz = (fz, np.float32(1), iz + ONE) if corner & 4 else (gz, np.float32(-1), iz)
            entry = _index(vx, vy, vz, resolution, size, hashed)
            weight, dx, dy, dz = wx * wy * wz, sx * wy * wz, wx * sy * wz, wx * wy * sz
            table[entry, 0] += weight * a + dx * ax + dy * ay + dz * az
            table[entry, 1] += weight * b + dx * bx + dy * by + dz * bz


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


@cached_njit(parallel=True)
def _forward_slopes(x, tables, scale, resolution, offset, size, hashed, out, slopes):
    for chunk in prange((x.shape[0] + CHUNK - 1) // CHUNK):
        points = slice(chunk * CHUNK, min((chunk + 1) * CHUNK, x.shape[0]))
        for i in range(scale.shape[0]):
            table, level = tables[offset[i] : offset[i] + size[i]], slice(2 * i, 2 * i + 2)
            values, derivatives = out[level, points], slopes[level, :, points]
            _gather_slopes(x[points], table, scale[i], resolution[i], size[i], hashed[i], values, derivatives)


@cached_njit(parallel=True)
def _backward_slopes(x, gradient, slopes, scale, resolution, offset, size, hashed, tables):
    for i in prange(scale.shape[0]):
        table, level = tables[offset[i] : offset[i] + size[i]], slice(2 * i, 2 * i + 2)
        _scatter_slopes(x, gradient[level], slopes[level], scale[i], resolution[i], size[i], hashed[i], table)


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


class _EncodeWithJacobian(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, tables: Tensor, levels: Levels) -> tuple[Tensor, Tensor]:
        ctx.x, ctx.levels, ctx.n_entries = x, levels, len(tables)
        features = torch.empty(2 * len(levels.scale), len(x))
        slopes = torch.empty(2 * len(levels.scale), 3, len(x))
        _forward_slopes(x.numpy(), tables.numpy(), *_layout(levels), features.numpy(), slopes.numpy())
        return features.t(), slopes.permute(2, 0, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, slopes: Tensor) -> tuple[None, Tensor, None]:
        tables = torch.zeros(ctx.n_entries, 2)
        inward = gradient.t().contiguous().numpy(), slopes.permute(1, 2, 0).contiguous().numpy()
        _backward_slopes(ctx.x.numpy(), *inward, *_layout(ctx.levels), tables.numpy())
        return None, tables, None


def _layout(levels: Levels) -> list[np.ndarray]:
    """Unsigned, so that no negative index has to be looked for."""
    unsigned = [a.astype(np.uint64) for a in (levels.resolution, levels.offset, levels.size)]
    return [levels.scale, *unsigned, levels.hashed]


def encode_numba(
    x: Float[Tensor, "n 3"], tables: Float[Tensor, "e k"], levels: Levels, known: Float[Tensor, "n f"] | None = None
) -> Float[Tensor, "n f"]:
    """Differentiable in the tables, not in x."""
    _check(x, tables)
    return _Encode.apply(x.contiguous(), tables, levels, known)


def jacobian_numba(
    x: Float[Tensor, "n 3"], tables: Float[Tensor, "e k"], levels: Levels
) -> tuple[Float[Tensor, "n f"], Float[Tensor, "n f 3"]]:
    """Twin of `hashgrid.jacobian_torch`: both differentiable in the tables, not in x."""
    _check(x, tables)
    return _EncodeWithJacobian.apply(x.contiguous(), tables, levels)


def _check(x: Float[Tensor, "n 3"], tables: Float[Tensor, "e k"]) -> None:
    assert tables.shape[1] == 2, "the numba encoding is written for 2 features per level"
    assert not x.requires_grad, "the numba encoding has no gradient with respect to the points"
