"""How sure a number is: intervals that hold the truth in a given share of all experiments."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from jaxtyping import Float
from scipy.special import stdtrit
from torch import Tensor


@dataclass(frozen=True)
class Interval:
    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


EVERYTHING = Interval(-math.inf, math.inf)


def wilson(successes: int, n: int, level: float = 0.95) -> Interval:
    """Of the rate behind `successes` in n trials: the rates p with |successes / n - p| <= z sqrt(p (1 - p) / n).

    Wilson, Journal of the American Statistical Association 22, 1927. It stays in [0, 1], and no success in 12 trials
    gives [0, 0.24], where the usual p +- z sqrt(p (1 - p) / n) gives [0, 0].
    """
    assert 0 <= successes <= n, f"{successes} of {n}"
    if n == 0:
        return Interval(0.0, 1.0)
    z, rate = NormalDist().inv_cdf((1 + level) / 2), successes / n
    middle = (rate + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z / (1 + z**2 / n) * math.sqrt(rate * (1 - rate) / n + (z / (2 * n)) ** 2)
    return Interval(
        0.0 if successes == 0 else middle - reach,
        1.0 if successes == n else middle + reach,
    )


def mean_interval(values: Float[Tensor, "n"], level: float = 0.95) -> Interval:
    """Of the mean behind independent values: mean +- t_(n-1) s / sqrt(n). One value says nothing about its spread."""
    if len(values) < 2:
        return EVERYTHING
    values = values.double()
    return around(values.mean().item(), values.std().item() / math.sqrt(len(values)), len(values) - 1, level)


def around(value: float, standard_error: float, freedom: int, level: float = 0.95) -> Interval:
    """Student's t: value +- t standard_error, where the error was estimated with so many degrees of freedom."""
    reach = float(stdtrit(freedom, (1 + level) / 2)) * standard_error
    return Interval(value - reach, value + reach)
