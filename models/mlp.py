"""The small network behind every field."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from models.backends import TINYCUDANN, Backend, Source, choose
from models.mlp_blocked import perceptron_blocked, widened


@dataclass(frozen=True)
class Perceptrons:
    """The network, and the gradient of its first output with respect to its input: see the definitions."""

    forward: Callable[[Float[Tensor, "*n i"], Sequence[Float[Tensor, "_ _"]]], Float[Tensor, "*n o"]]
    slope: Callable[[Float[Tensor, "n i"], Sequence[Float[Tensor, "_ _"]]], Float[Tensor, "n i"]]


def perceptron(x: Float[Tensor, "*n i"], weights: Sequence[Float[Tensor, "_ _"]]) -> Float[Tensor, "*n o"]:
    """The definition: matrices with ReLU between them."""
    *inner, last = weights
    for weight in inner:
        x = nn.functional.relu(nn.functional.linear(x, weight), inplace=True)
    return nn.functional.linear(x, last)


def perceptron_slope(x: Float[Tensor, "n i"], weights: Sequence[Float[Tensor, "_ _"]]) -> Float[Tensor, "n i"]:
    """d output_0 / d x = w_last[0] diag(h_k > 0) W_k ... diag(h_1 > 0) W_1, by row vectors, from the last layer on.

    Between the kinks of ReLU it does not depend on x: so its own gradient is an ordinary one, to the weights alone.
    """
    *inner, last = weights
    alive = []
    with torch.no_grad():
        for weight in inner:
            x = nn.functional.relu(nn.functional.linear(x, weight), inplace=True)
            alive.append(x > 0)
    slope = last[:1].expand(len(x), -1)
    for weight, mask in zip(reversed(inner), reversed(alive), strict=True):
        slope = (slope * mask) @ weight
    return slope


TORCH = Perceptrons(perceptron, perceptron_slope)


def _load_numba() -> Perceptrons:
    from models.mlp_numba import perceptron_numba, slope_numba

    return Perceptrons(perceptron_numba, slope_numba)


def _load_tinycudann() -> Perceptrons:
    from models.mlp_cuda import CutlassPerceptron

    return Perceptrons(CutlassPerceptron(), perceptron_slope)


def _slope_widened(x: Float[Tensor, "n i"], weights: Sequence[Float[Tensor, "_ _"]]) -> Float[Tensor, "n i"]:
    wide, *matrices = widened(x, weights)
    return perceptron_slope(wide, matrices)[:, : x.shape[1]]


NUMBA = Source(_load_numba, "pip install numba")
BLOCKED = Source(lambda: Perceptrons(perceptron_blocked, _slope_widened), "nothing")  # several hidden layers
CUDA = Source(_load_tinycudann, TINYCUDANN)


class MLP(nn.Module):
    """n_input -> hidden -> ... -> n_output with ReLU between and no biases: a zero encoding gives exactly zero."""

    def __init__(
        self,
        n_input: int,
        n_output: int,
        hidden: int = 32,
        n_hidden: int = 1,
        seed: int = 0,
        backend: Backend = "torch",
    ) -> None:
        super().__init__()
        numba = NUMBA if n_hidden == 1 else BLOCKED
        self._kernels = choose(backend if n_hidden else "torch", TORCH, numba, CUDA)
        generator = torch.Generator().manual_seed(seed)
        widths = [n_input] + [hidden] * n_hidden + [n_output]
        self.weights = nn.ParameterList(
            _kaiming_uniform(wide_in, wide_out, generator) for wide_in, wide_out in pairwise(widths)
        )

    def forward(self, x: Float[Tensor, "*n i"]) -> Float[Tensor, "*n o"]:
        return self._kernels.of(x).forward(x, list(self.weights))

    def slope(self, x: Float[Tensor, "n i"]) -> Float[Tensor, "n i"]:
        """The gradient of the first output with respect to x."""
        return self._kernels.of(x).slope(x, list(self.weights))


def _kaiming_uniform(n_input: int, n_output: int, generator: torch.Generator) -> nn.Parameter:
    """torch's own initial linear layer: U(-1/sqrt(n), 1/sqrt(n)), drawn from a generator."""
    bound = 1 / math.sqrt(n_input)
    return nn.Parameter(torch.empty(n_output, n_input).uniform_(-bound, bound, generator=generator))
