import math

import pytest
import torch

from data.directions import BACK, DIRECTIONS, FRONT, OVERHEAD, SIDE, direction, wrapped_degrees

TINY = 1e-9  # degrees


def closed_form(azimuth, elevation, front, back, overhead):
    """In words: side; but near 0 front; but near 180 back; but high up overhead."""
    wrapped = (azimuth + 180) % 360 - 180
    found = SIDE
    if -front < wrapped < front:
        found = FRONT
    if wrapped > 180 - back or wrapped < -180 + back:
        found = BACK
    if overhead is not None and elevation > overhead:
        found = OVERHEAD
    return found


def found_by(azimuth, elevation, *thresholds):
    radians = [torch.deg2rad(torch.tensor(angle, dtype=torch.float64)) for angle in (azimuth, elevation)]
    return direction(*radians, *thresholds).tolist()


@pytest.mark.parametrize(
    "thresholds", [(45.0, 45.0, 60.0), (30.0, 30.0, 60.0), (30.0, 60.0, None), (120.0, 90.0, 20.0)]
)
def test_directions_on_both_sides_of_every_border_in_every_turn(thresholds):
    front, back, overhead = thresholds
    borders = [0.0, front, -front, 180.0 - back, back - 180.0, 180.0, -180.0, 90.0]
    azimuths = [border + step + turn for border in borders for step in (-TINY, TINY) for turn in (-720, -360, 0, 360)]
    high = [0.0, *([] if overhead is None else [overhead - TINY, overhead + TINY]), 90.0]
    pairs = [(azimuth, elevation) for azimuth in azimuths for elevation in high]
    expected = [closed_form(*pair, *thresholds) for pair in pairs]
    assert found_by(*zip(*pairs, strict=True), *thresholds) == expected
    assert set(expected) >= {FRONT, BACK}


def test_the_middle_of_each_direction_is_that_direction():
    assert found_by([0.0, 90.0, -90.0, 180.0, -180.0, 540.0], [0.0] * 6) == [FRONT, SIDE, SIDE, BACK, BACK, BACK]


def test_the_later_direction_wins():
    assert found_by([100.0, 100.0], [0.0, 61.0], 110.0, 90.0) == [BACK, OVERHEAD]


def test_a_view_from_straight_above_is_no_overhead_view_where_there_is_none():
    assert found_by([0.0, 180.0], [90.0, 90.0], 45.0, 45.0, None) == [FRONT, BACK]


def test_azimuths_are_wrapped_to_one_turn():
    degrees = torch.arange(-1000, 1000, 7, dtype=torch.float64)
    expected = torch.tensor([(x + 180) % 360 - 180 for x in degrees.tolist()], dtype=torch.float64)
    torch.testing.assert_close(wrapped_degrees(torch.deg2rad(degrees)), expected)
    assert wrapped_degrees(torch.tensor([math.pi], dtype=torch.float64)).item() == -180


def test_captions_name_the_directions_in_their_order():
    assert [DIRECTIONS[which] for which in (SIDE, FRONT, BACK)] == ["side", "front", "back"]
    assert len(DIRECTIONS) == OVERHEAD
