"""The interval and the bias of any statistic of a set, from leaving out a part of the set at a time."""

from __future__ import annotations

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
    statistic: Callable[[Int[Tensor, "m"]], float], n: int, blocks: int = 19, level: float = 0.95
) -> Estimate:
    """theta of all n, theta_g without the m_g members of each of G blocks, and h_g = n / m_g:

    limit = G theta - sum_g (1 - 1 / h_g) theta_g, a straight line in 1 / n through what is known at n and at n - m_g;
    se^2 = 1 / G sum_g (h_g theta - (h_g - 1) theta_g - limit)^2 / (h_g - 1).

    Quenouille 1956, Tukey 1958; for blocks of unequal size Busing et al. 1999. Unlike a bootstrap it repeats no member,
    and repeats are what distances between sets of images take for a lack of variety: the bootstrap's percentiles may
    not even hold theta itself. Where theta is far from its limit, the interval errs on the wide side: by sqrt(2) for a
    distance of equal distributions, which is a sum over pairs (Efron and Stein 1981).

    Block g has every 19th member: a prime, so that members which take turns, as held-out captions do, are in each block
    alike.

    statistic: from the indices of the members that take part.
    """
    members, blocks = torch.arange(n), min(blocks, n)
    h = n / (members % blocks).bincount().double()
    value = statistic(members)
    without = torch.tensor([statistic(members[members % blocks != g]) for g in range(blocks)], dtype=torch.float64)
    limit = blocks * value - ((1 - 1 / h) * without).sum().item()
    error = ((h * value - (h - 1) * without - limit).square() / (h - 1)).mean().sqrt().item()
    return Estimate(value, around(value, error, blocks - 1, level), limit)
