"""CPU twin of `mlp.perceptron` with several hidden layers: the definition on blocks of points that stay in the cache.

The backward computes the hidden layers again, and adds the blocks in order. Matrices of this size are what torch's BLAS
is made for: a compiled kernel was no faster. Bit-equal for any number of threads if `hidden` is a multiple of WIDTH.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

BLOCK = 2048  # points
WIDTH = 16  # of a vector register: BLAS sums the rest of other widths in an order that depends on the threads


class _Perceptron(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, *weights: Tensor) -> Tensor:
        ctx.save_for_backward(x, *weights)
        out = x.new_empty(len(x), len(weights[-1]))
        for points, result in zip(x.split(BLOCK), out.split(BLOCK), strict=True):
            torch.mm(_layers(points, weights)[-1], weights[-1].t(), out=result)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, *weights = ctx.saved_tensors
        sums = [torch.zeros_like(weight) for weight in weights]
        x_gradient = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        for begin in range(0, len(x), BLOCK):
            layers = _layers(x[begin : begin + BLOCK], weights)
            behind = gradient[begin : begin + BLOCK]
            for k in range(len(weights) - 1, 0, -1):
                sums[k].addmm_(behind.t(), layers[k])
                behind = (behind @ weights[k]).mul_(layers[k] > 0)
            sums[0].addmm_(behind.t(), layers[0])
            if x_gradient is not None:
                torch.mm(behind, weights[0], out=x_gradient[begin : begin + BLOCK])
        return x_gradient, *sums


def _layers(x: Tensor, weights: Sequence[Tensor]) -> list[Tensor]:
    """x, and the hidden layers after their ReLU."""
    layers = [x]
    for weight in weights[:-1]:
        layers.append(nn.functional.relu(layers[-1] @ weight.t(), inplace=True))
    return layers


def perceptron_blocked(x: Float[Tensor, "n i"], weights: Sequence[Float[Tensor, "_ _"]]) -> Float[Tensor, "n o"]:
    return _Perceptron.apply(*widened(x, weights))


def widened(x: Float[Tensor, "n i"], weights: Sequence[Float[Tensor, "_ _"]]) -> list[Tensor]:
    """The inputs, and the weights, with zeros up to a multiple of WIDTH."""
    spare = -x.shape[1] % WIDTH
    return [nn.functional.pad(x.t(), (0, 0, 0, spare)).t(), nn.functional.pad(weights[0], (0, spare)), *weights[1:]]
