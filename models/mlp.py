"""The small network behind every field."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from models.backends import Backend, Source, choose

Perceptron = Callable[[Float[Tensor, "*n i"], Sequence[Float[Tensor, "_ _"]]], Float[Tensor, "*n o"]]


def perceptron(x: Float[Tensor, "*n i"], weights: Sequence[Float[Tensor, "_ _"]]) -> Float[Tensor, "*n o"]:
    """The definition: matrices with ReLU between them."""
    *inner, last = weights
    for weight in inner:
        x = nn.functional.relu(nn.functional.linear(x, weight), inplace=True)
    return nn.functional.linear(x, last)


def _load_numba() -> Perceptron:
    from models.mlp_numba import perceptron_numba

    return perceptron_numba


NUMBA = Source(_load_numba, "pip install numba")
CUDA: Source[Perceptron] = Source(lambda: perceptron, "nothing")  # torch itself is the CUDA library


class MLP(nn.Module):
    """n_input -> hidden -> ... -> n_output with ReLU between and no biases: a zero encoding gives exactly zero.

    The numba twin is written for one hidden layer; other depths run on the definition.
    """

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
        self._perceptron = choose(backend if n_hidden == 1 else "torch", perceptron, NUMBA, CUDA)
        generator = torch.Generator().manual_seed(seed)
        widths = [n_input] + [hidden] * n_hidden + [n_output]
        self.weights = nn.ParameterList(
            _kaiming_uniform(wide_in, wide_out, generator) for wide_in, wide_out in pairwise(widths)
        )

    def forward(self, x: Float[Tensor, "*n i"]) -> Float[Tensor, "*n o"]:
        return self._perceptron.of(x)(x, list(self.weights))


def _kaiming_uniform(n_input: int, n_output: int, generator: torch.Generator) -> nn.Parameter:
    """torch's own initial linear layer: U(-1/sqrt(n), 1/sqrt(n)), drawn from a generator."""
    bound = 1 / math.sqrt(n_input)
    return nn.Parameter(torch.empty(n_output, n_input).uniform_(-bound, bound, generator=generator))
