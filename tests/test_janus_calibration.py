from __future__ import annotations

import pytest
import torch

from benchmarks.janus import Case, choose_rule, draw_held_out_toys, measured
from data.errors import FailedError
from data.toybox.captions import parse
from data.toybox.split import HELD_OUT, is_held_out
from metrics.janus import ELEVATIONS, N_AZIMUTHS, Rule

FRONTS = {"true": (0.0,), "back": (0.0, 180.0), "side": (0.0, 90.0), "around": (0.0, 90.0, 180.0, 270.0)}


def case(sides: str, front: float, other: float = 0.0, reach: float = 70.0) -> Case:
    """P(front) is `front` within `reach` degrees of a face, elsewhere `other`."""
    azimuth = torch.arange(N_AZIMUTHS) * 360 / N_AZIMUTHS
    near = torch.stack([((azimuth - face + 180) % 360 - 180).abs() < reach for face in FRONTS[sides]]).any(dim=0)
    return Case("dog", sides, "sharp", torch.where(near, front, other).expand(len(ELEVATIONS), -1))


def test_the_rule_is_the_middle_of_a_valley() -> None:
    """Faces at 0.5, the rest at 0.3: thresholds between are right."""
    rule = choose_rule([case(sides, 0.5, 0.3, reach=50.0) for sides in FRONTS])
    assert 0.35 <= rule.threshold <= 0.45 and 105 < rule.widest < 165


@pytest.mark.parametrize("front", [0.005, 0.99])
def test_a_rule_at_the_end_of_what_was_searched_is_refused(front: float) -> None:
    """Fronts that are below every threshold, so that all are as bad, or above a rest that is above all but the last."""
    with pytest.raises(FailedError, match="search farther"):
        choose_rule([case(sides, front, 0.0 if front < 0.5 else 0.85, reach=50.0) for sides in FRONTS])


def test_misses_are_counted_by_where_the_second_face_is() -> None:
    """Two that run into each other are one arc of 195 degrees, which this rule takes for one front."""
    cases = [case(sides, 0.9, reach=reach) for sides in FRONTS for reach in (20.0, 50.0)]
    found = measured(cases, Rule(0.5, widest=240.0))["sharp"]
    assert {name: (rate["wrong"], rate["of"]) for name, rate in found.items()} == {
        "false_alarms": (0, 2),
        "misses_back": (0, 2),
        "misses_side": (1, 2),
        "misses_around": (0, 2),
    }


def test_toys_of_no_training_are_held_out_combinations_and_what_these_wear_more(rng: torch.Generator) -> None:
    kinds, known = ["dog", "car", "house"], [parse("a green car")]
    toys = draw_held_out_toys(kinds, 4, rng, other_than=known)
    assert all(is_held_out(toy) for toy in toys) and len(set(toys)) == len(toys) == 4 + 1
    assert parse(HELD_OUT[0]) in toys and known[0] not in toys
