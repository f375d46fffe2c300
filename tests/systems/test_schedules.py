from __future__ import annotations

import pytest

from data.errors import UserError
from systems.schedules import Exponential, Linear, ScheduleTable, Sqrt, Steps


def test_linear_holds_its_ends() -> None:
    schedule = Linear(start=0.98, end=0.5, since=0.2, until=0.8)
    assert [schedule(p) for p in (0.0, 0.2, 0.5, 0.8, 1.0)] == pytest.approx([0.98, 0.98, 0.74, 0.5, 0.5])


def test_linear_with_no_room_jumps() -> None:
    schedule = Linear(start=0.0, end=1.0, since=0.5, until=0.5)
    assert [schedule(p) for p in (0.4, 0.6)] == [0.0, 1.0]


def test_steps_change_at_their_turns_and_keep_the_type() -> None:
    schedule = Steps(values=[32, 64, 128], at=[0.5, 0.75])
    assert [schedule(p) for p in (0.0, 0.49, 0.5, 0.75, 1.0)] == [32, 32, 64, 128, 128]
    assert isinstance(schedule(0.0), int)


@pytest.mark.parametrize("at", [[], [0.5, 0.2]])
def test_steps_need_one_value_more_than_ordered_turns(at: list[float]) -> None:
    with pytest.raises(UserError, match="one more value"):
        Steps(values=[1, 2, 3], at=at)


def test_sqrt_has_gone_half_its_way_after_a_quarter() -> None:
    schedule = Sqrt(start=0.98, end=0.02)
    assert [schedule(p) for p in (0.0, 0.25, 1.0)] == pytest.approx([0.98, 0.5, 0.02])


def test_exponential_passes_its_ends_and_their_geometric_mean() -> None:
    schedule = Exponential(start=1.0, end=0.01)
    assert [schedule(p) for p in (0.0, 0.5, 1.0)] == pytest.approx([1.0, 0.1, 0.01])


def test_null_takes_a_schedule_away() -> None:
    owner = Steps(values=[1], at=[])
    table = ScheduleTable(owner, {"values": None, "at": Steps(values=[2, 3], at=[0.5])})
    table.apply(0.7)
    assert owner.values == [1] and owner.at == 3
