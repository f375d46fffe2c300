"""The small network behind every field."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn


class MLP(nn.Module):
    """n_input -> hidden -> ... -> n_output with ReLU between and no biases: a zero encoding gives exactly zero."""

    def __init__(self, n_input: int, n_output: int, hidden: int = 32, n_hidden: int = 1, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        widths = [n_input] + [hidden] * n_hidden + [n_output]
        self.weights = nn.ParameterList(
            _kaiming_uniform(wide_in, wide_out, generator) for wide_in, wide_out in pairwise(widths)
        )

    def forward(self, x: Float[Tensor, "*n i"]) -> Float[Tensor, "*n o"]:
        *inner, last = self.weights
        for weight in inner:
            x = nn.functional.relu(nn.functional.linear(x, weight), inplace=True)
        return nn.functional.linear(x, last)


def _kaiming_uniform(n_input: int, n_output: int, generator: torch.Generator) -> nn.Parameter:
    """torch's own initial linear layer: U(-1/sqrt(n), 1/sqrt(n)), drawn from a generator."""
    bound = 1 / math.sqrt(n_input)
    return nn.Parameter(torch.empty(n_output, n_input).uniform_(-bound, bound, generator=generator))
