import math
from statistics import NormalDist

import pytest
import torch

from metrics.intervals import EVERYTHING, Interval, mean_interval, wilson


def test_no_success_in_twelve_trials_leaves_a_quarter() -> None:
    assert wilson(0, 12).low == 0
    assert wilson(0, 12).high == pytest.approx(0.2425, abs=1e-4)


def test_half_of_the_trials_is_a_half_give_or_take() -> None:
    """z / (2 sqrt(n + z^2))."""
    z = NormalDist().inv_cdf(0.975)
    interval, reach = wilson(50, 100), z / (2 * math.sqrt(100 + z**2))
    assert (interval.low, interval.high) == pytest.approx((0.5 - reach, 0.5 + reach))


@pytest.mark.parametrize("successes", [1, 3, 11])
def test_wilsons_ends_are_rates_at_which_the_count_is_just_z_standard_deviations_off(successes: int) -> None:
    z, rate = NormalDist().inv_cdf(0.975), successes / 12
    for end in (wilson(successes, 12).low, wilson(successes, 12).high):
        assert (rate - end) ** 2 == pytest.approx(z**2 * end * (1 - end) / 12)


def test_failures_mirror_successes() -> None:
    few, many = wilson(2, 9), wilson(7, 9)
    assert (few.low, few.high) == pytest.approx((1 - many.high, 1 - many.low))
    assert wilson(9, 9).high == 1


def test_without_trials_every_rate_is_possible() -> None:
    assert wilson(0, 0) == Interval(0.0, 1.0)


def test_the_mean_of_five_numbers_by_students_table() -> None:
    """1 to 5: mean 3, s = sqrt(2.5), t_4 = 2.776."""
    interval = mean_interval(torch.arange(1.0, 6.0))
    reach = 2.776 * math.sqrt(2.5 / 5)
    assert (interval.low, interval.high) == pytest.approx((3 - reach, 3 + reach), abs=1e-3)


def test_one_value_has_no_interval() -> None:
    assert mean_interval(torch.ones(1)) == EVERYTHING
