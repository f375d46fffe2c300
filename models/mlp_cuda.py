"""tiny-cuda-nn's CutlassMLP behind the signature of `mlp.perceptron`: same weights, in half precision.

Its parameters are the matrices "o i", row by row, one after the other; it pads the input to a multiple of 16 with ones
and the output likewise. Here the hidden layers, too, are padded: everything beyond our weights is 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import tinycudann
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

MULTIPLE = 16


class CutlassPerceptron:
    def __init__(self) -> None:
        self._networks: dict[tuple[int, ...], torch.nn.Module] = {}  # by widths; their parameters come with each call

    def __call__(self, x: Float[Tensor, "*n i"], weights: Sequence[Float[Tensor, "_ _"]]) -> Float[Tensor, "*n o"]:
        widths = (*(weight.shape[1] for weight in weights), len(weights[-1]))
        if widths not in self._networks:
            self._networks[widths] = _build(widths)
        params = torch.cat([_padded(weight).flatten() for weight in weights])
        out = torch.func.functional_call(self._networks[widths], {"params": params}, (x.flatten(0, -2),))
        return out.to(x.dtype).view(*x.shape[:-1], widths[-1])


def _build(widths: Sequence[int]) -> torch.nn.Module:
    config = {
        "otype": "CutlassMLP",
        "activation": "ReLU",
        "output_activation": "None",
        "n_neurons": widths[1] + -widths[1] % MULTIPLE,
        "n_hidden_layers": len(widths) - 2,
    }
    return tinycudann.Network(widths[0], widths[-1], config)


def _padded(weight: Float[Tensor, "o i"]) -> Float[Tensor, "p q"]:
    rows, columns = (-size % MULTIPLE for size in weight.shape)
    return pad(weight, (0, columns, 0, rows))
