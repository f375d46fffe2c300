"""The interval and the bias of any statistic of a set, from leaving out a part of the set at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from metrics.intervals import Interval, around


@dataclass(frozen=True)
class Estimate:
    value: float  # of all n
    interval: Interval  # for the mean of such values over all sets of n, not for the limit of many
    limit: float  # without the part of the bias that falls as 1 / n

    def named(self, name: str) -> dict[str, float]:
        return {name: self.value, f"{name}_low": self.interval.low, f"{name}_high": self.interval.high}


def jackknife(
    statistic: Callable[[Int[Tensor, "m"]], float], n: int, blocks: int = 20, level: float = 0.95
) -> Estimate:
    """theta of all n, theta_g without each of G blocks: se^2 = (G - 1) / G sum_g (theta_g - mean_g theta_g)^2.

    Quenouille 1956, Tukey 1958. theta is known at n and at n (1 - 1 / G); a straight line in 1 / n through both ends at
    G theta - (G - 1) mean_g theta_g. Unlike a bootstrap it repeats no member, and repeats are what distances between
    sets of images take for a lack of variety: the bootstrap's percentiles may not even hold theta itself.

    statistic: from the indices of the members that take part.
    """
    members, blocks = torch.arange(n), min(blocks, n)
    value = statistic(members)
    left_out = torch.tensor([statistic(members[members % blocks != g]) for g in range(blocks)], dtype=torch.float64)
    error = math.sqrt((blocks - 1) / blocks * (left_out - left_out.mean()).square().sum().item())
    limit = blocks * value - (blocks - 1) * left_out.mean().item()
    return Estimate(value, around(value, error, blocks - 1, level), limit)
