"""CPU twins of the definitions in models/mlp.py for one hidden layer. Compiled once, see models/hashgrid_numba.py.

Works on blocks of points that stay in the cache, so the hidden layer, else the largest array of a step, never reaches
memory; the backward computes it again. Blocks are summed in order, whatever the number of threads.
Points are stored feature by feature ("i n"), as the numba encoding writes them; callers see the transpose.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numba import prange
from torch import Tensor
from torch.autograd.function import once_differentiable

from data.jit import cached_njit

BLOCK = 512  # points
REORDER = {"contract", "nsz", "reassoc"}  # lets sums over points use vector registers
ZERO = np.float32(0)


@cached_njit(fastmath=REORDER)
def _unit(x, begin, weight, out):
    """One hidden unit before its ReLU: x (i, n) from point `begin` on, weight (i) -> out."""
    n = len(out)
    out[:] = ZERO
    fours = len(weight) // 4 * 4  # inputs at a time: a quarter of the traffic of `out`
    for i in range(0, fours, 4):
        a, b, c, d = weight[i], weight[i + 1], weight[i + 2], weight[i + 3]
        xa, xb = x[i][begin : begin + n], x[i + 1][begin : begin + n]
        xc, xd = x[i + 2][begin : begin + n], x[i + 3][begin : begin + n]
        for p in range(n):
            out[p] += a * xa[p] + b * xb[p] + c * xc[p] + d * xd[p]
    for i in range(fours, len(weight)):
        _add(weight[i], x[i][begin : begin + n], out)


@cached_njit(fastmath=REORDER)
def _add(factor, x, out):
    for p in range(len(out)):
        out[p] += factor * x[p]


@cached_njit(fastmath=REORDER)
def _dot(a, b):
    total = ZERO
    for p in range(len(a)):
        total += a[p] * b[p]
    return total


@cached_njit(fastmath=REORDER)
def _forward_block(x, first, last, begin, end, out):
    unit = np.empty(end - begin, np.float32)
    for o in range(last.shape[0]):
        out[o][begin:end] = ZERO
    for j in range(first.shape[0]):
        _unit(x, begin, first[j], unit)
        for p in range(len(unit)):
            unit[p] = max(unit[p], ZERO)
        for o in range(last.shape[0]):
            _add(last[o, j], unit, out[o][begin:end])


@cached_njit(fastmath=REORDER)
def _backward_block(x, first, last, gradient, begin, end, x_gradient, first_gradient, last_gradient):
    unit, behind = np.empty(end - begin, np.float32), np.empty(end - begin, np.float32)
    for i in range(first.shape[1]):
        x_gradient[i][begin:end] = ZERO
    for j in range(first.shape[0]):
        _unit(x, begin, first[j], unit)
        behind[:] = ZERO
        for o in range(last.shape[0]):
            _add(last[o, j], gradient[o][begin:end], behind)
        for p in range(len(unit)):
            behind[p] = behind[p] if unit[p] > ZERO else ZERO
            unit[p] = max(unit[p], ZERO)
        for o in range(last.shape[0]):
            last_gradient[o, j] = _dot(gradient[o][begin:end], unit)
        for i in range(first.shape[1]):
            first_gradient[j, i] = _dot(behind, x[i][begin:end])
            _add(first[j, i], behind, x_gradient[i][begin:end])


@cached_njit(fastmath=REORDER)
def _slope_block(x, first, last, begin, end, out):
    unit = np.empty(end - begin, np.float32)
    for i in range(first.shape[1]):
        out[i][begin:end] = ZERO
    for j in range(first.shape[0]):
        _unit(x, begin, first[j], unit)
        for p in range(len(unit)):
            unit[p] = last[0, j] if unit[p] > ZERO else ZERO
        for i in range(first.shape[1]):
            _add(first[j, i], unit, out[i][begin:end])


@cached_njit(fastmath=REORDER)
def _slope_backward_block(x, first, last, gradient, begin, end, first_gradient, last_gradient):
    """last_gradient (h): of the first output, the others have none."""
    unit, behind = np.empty(end - begin, np.float32), np.empty(end - begin, np.float32)
    for j in range(first.shape[0]):
        _unit(x, begin, first[j], unit)
        _unit(gradient, begin, first[j], behind)
        for p in range(len(unit)):
            unit[p] = np.float32(1) if unit[p] > ZERO else ZERO
        last_gradient[j] = _dot(unit, behind)
        for i in range(first.shape[1]):
            first_gradient[j, i] = last[0, j] * _dot(unit, gradient[i][begin:end])


@cached_njit(parallel=True)
def _forward(x, first, last, out):
    for block in prange((x.shape[1] + BLOCK - 1) // BLOCK):
        _forward_block(x, first, last, block * BLOCK, min((block + 1) * BLOCK, x.shape[1]), out)


@cached_njit(parallel=True)
def _backward(x, first, last, gradient, x_gradient, first_gradient, last_gradient):
    """The gradients of the weights block by block: (blocks, h, i) and (blocks, o, h)."""
    for block in prange((x.shape[1] + BLOCK - 1) // BLOCK):
        begin, end = block * BLOCK, min((block + 1) * BLOCK, x.shape[1])
        sums = first_gradient[block], last_gradient[block]
        _backward_block(x, first, last, gradient, begin, end, x_gradient, sums[0], sums[1])


@cached_njit(parallel=True)
def _slope_forward(x, first, last, out):
    for block in prange((x.shape[1] + BLOCK - 1) // BLOCK):
        _slope_block(x, first, last, block * BLOCK, min((block + 1) * BLOCK, x.shape[1]), out)


@cached_njit(parallel=True)
def _slope_backward(x, first, last, gradient, first_gradient, last_gradient):
    """Block by block: (blocks, h, i) and (blocks, h)."""
    for block in prange((x.shape[1] + BLOCK - 1) // BLOCK):
        begin, end = block * BLOCK, min((block + 1) * BLOCK, x.shape[1])
        sums = first_gradient[block], last_gradient[block]
        _slope_backward_block(x, first, last, gradient, begin, end, sums[0], sums[1])


class _Perceptron(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, first: Tensor, last: Tensor) -> Tensor:
        out = torch.empty(len(last), x.shape[1])
        _forward(x.numpy(), first.numpy(), last.numpy(), out.numpy())
        ctx.save_for_backward(x, first, last)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, first, last = ctx.saved_tensors
        blocks = -(-x.shape[1] // BLOCK)
        sums = torch.empty(blocks, *first.shape), torch.empty(blocks, *last.shape)
        x_gradient = torch.empty_like(x)
        arrays = (x, first, last, gradient.contiguous(), x_gradient, *sums)
        _backward(*(tensor.detach().numpy() for tensor in arrays))
        return x_gradient, sums[0].sum(dim=0), sums[1].sum(dim=0)


class _Slope(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, first: Tensor, last: Tensor) -> Tensor:
        out = torch.empty_like(x)
        _slope_forward(x.numpy(), first.numpy(), last.numpy(), out.numpy())
        ctx.save_for_backward(x, first, last)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, Tensor]:
        x, first, last = ctx.saved_tensors
        blocks = -(-x.shape[1] // BLOCK)
        sums = torch.empty(blocks, *first.shape), torch.empty(blocks, first.shape[0])
        _slope_backward(*(tensor.detach().numpy() for tensor in (x, first, last, gradient.contiguous(), *sums)))
        last_gradient = torch.zeros_like(last)
        last_gradient[0] = sums[1].sum(dim=0)
        return None, sums[0].sum(dim=0), last_gradient


def slope_numba(x: Float[Tensor, "n i"], weights: Sequence[Float[Tensor, "_ _"]]) -> Float[Tensor, "n i"]:
    first, last = weights
    return _Slope.apply(x.detach().t().contiguous(), first.contiguous(), last.contiguous()).t()


def perceptron_numba(x: Float[Tensor, "n i"], weights: Sequence[Float[Tensor, "_ _"]]) -> Float[Tensor, "n o"]:
    first, last = weights
    return _Perceptron.apply(x.t().contiguous(), first.contiguous(), last.contiguous()).t()
