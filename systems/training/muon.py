"""Muon for the matrices inside transformers, AdamW for all else, as the one optimiser that Lightning wants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module, Parameter
from torch.optim import AdamW, Muon, Optimizer


class MuonWithAdamW(Optimizer):
    """Muon (Jordan et al. 2024) steps by the orthogonalised momentum of a matrix, whose rows and columns then learn
    alike; the scale of its steps is AdamW's (Liu et al. 2025). Here it needs half as many steps as AdamW alone.
    """

    def __init__(
        self, matrices: list[Parameter], others: list[Parameter], muon_rate: float, rate: float, weight_decay: float
    ) -> None:
        muon = Muon(matrices, lr=muon_rate, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")
        self.parts = muon, AdamW(others, lr=rate, betas=(0.9, 0.98), weight_decay=weight_decay)
        super().__init__([*matrices, *others], {})
        self._share_groups()

    def _share_groups(self) -> None:
        """A scheduler sets the rates in `param_groups`."""
        self.param_groups = [group for part in self.parts for group in part.param_groups]

    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self.parts:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self._share_groups()


def split_matrices(module: Module, inside: str = "encoder.layers") -> tuple[list[Parameter], list[Parameter]]:
    """The matrices of the parameters whose name holds `inside`, and all other parameters."""
    matrices: list[Parameter] = []
    others: list[Parameter] = []
    for name, parameter in module.named_parameters():
        (matrices if parameter.ndim == 2 and inside in name else others).append(parameter)
    return matrices, others
