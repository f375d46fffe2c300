"""Learning rates: over time, and by the names of parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from data.errors import UserError


def warm_cosine(warmup_steps: int, max_steps: int, floor: float = 0.01) -> Callable[[int], float]:
    """Linear warm-up, then half a cosine down to `floor` at `max_steps`."""

    def factor(step: int) -> float:
        cosine = (1 + math.cos(math.pi * min(1.0, step / max_steps))) / 2
        return min(1.0, (step + 1) / warmup_steps) * (floor + (1 - floor) * cosine)

    return factor


def warmed_up(
    optimizer: Optimizer, warmup_steps: int, max_steps: int
) -> tuple[list[Optimizer], list[dict[str, object]]]:
    """The optimiser with `warm_cosine`, taken a step at a time, as Lightning wants both."""
    schedule = LambdaLR(optimizer, warm_cosine(warmup_steps, max_steps))
    return [optimizer], [{"scheduler": schedule, "interval": "step"}]


def parameter_groups(
    named: Iterable[tuple[str, Tensor]], learning_rates: Mapping[str, float]
) -> list[dict[str, list[Tensor] | float]]:
    """What an optimiser of torch takes: each parameter under the longest name in the table that its own begins with."""
    groups: dict[str, list[Tensor]] = {prefix: [] for prefix in learning_rates}
    for name, parameter in named:
        fitting = [prefix for prefix in groups if name == prefix or name.startswith(prefix + ".")]
        if not fitting:
            raise UserError(f"system.learning_rates has none for {name}; it has {', '.join(groups)}")
        groups[max(fitting, key=len)].append(parameter)
    return [{"params": groups[prefix], "lr": lr} for prefix, lr in learning_rates.items() if groups[prefix]]
