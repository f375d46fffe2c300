import pytest
import torch

from metrics.intervals import mean_interval
from metrics.jackknife import jackknife


def test_of_a_mean_it_is_students_interval(rng: torch.Generator) -> None:
    values = torch.randn(12, generator=rng, dtype=torch.float64)
    found, wanted = jackknife(lambda i: values[i].mean().item(), 12), mean_interval(values)
    assert found.value == pytest.approx(values.mean().item())
    assert (found.interval.low, found.interval.high) == pytest.approx((wanted.low, wanted.high))


def test_a_mean_has_no_bias_to_take_off(rng: torch.Generator) -> None:
    values = torch.randn(60, generator=rng, dtype=torch.float64)
    found = jackknife(lambda i: values[i].mean().item(), 60)
    assert found.limit == pytest.approx(found.value)


def test_the_limit_of_the_variance_over_n_is_the_variance_over_n_minus_1(rng: torch.Generator) -> None:
    values = torch.randn(15, generator=rng, dtype=torch.float64)
    found = jackknife(lambda i: values[i].var(unbiased=False).item(), 15)
    assert found.limit == pytest.approx(values.var().item())


@pytest.mark.parametrize("n", [6, 20, 23, 64])
def test_a_bias_of_1_over_n_comes_off_whole_and_widens_nothing_in_blocks_of_any_size(n: int) -> None:
    found = jackknife(lambda i: 2 + 5 / len(i), n)
    assert found.limit == pytest.approx(2)
    assert found.interval.high - found.interval.low < 1e-12


def test_95_of_100_intervals_hold_the_truth(rng: torch.Generator) -> None:
    """Of the mean of a lopsided distribution, by 19 blocks of 5 or 6."""
    draws = torch.rand(400, 100, generator=rng).square()
    held = [1 / 3 in jackknife(lambda i, x=values: x[i].mean().item(), 100).interval for values in draws]
    assert sum(held) / len(held) == pytest.approx(0.95, abs=0.03)


def test_what_takes_turns_is_in_each_block_alike() -> None:
    """Of 18 levels, leaving out a block does not move the mean; every 20th member has only half of the levels."""
    levels = (torch.arange(18 * 57) % 18).double()
    found = jackknife(lambda i: levels[i].mean().item(), len(levels))
    assert found.interval.high - found.interval.low < 1e-9


def test_an_estimate_names_its_interval() -> None:
    named = jackknife(lambda i: i.double().mean().item(), 3).named("middle")
    assert list(named) == ["middle", "middle_low", "middle_high"]
    assert named["middle_low"] < named["middle"] == 1 < named["middle_high"]
