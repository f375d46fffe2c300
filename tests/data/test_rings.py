from __future__ import annotations

import math

import pytest
import torch

from data.cameras import Cameras
from data.errors import UserError
from data.rings import groups_around
from data.samplers import FourViews, Orbit


def around(cameras: Cameras, n_view: int = 4) -> list[list[int]]:
    return groups_around(cameras, n_view, "a fox")


def test_of_one_ring_every_other_view_is_a_group(rng: torch.Generator) -> None:
    assert around(FourViews(n_view=8).draw(8, rng)) == [[0, 2, 4, 6], [1, 3, 5, 7]]


@pytest.mark.parametrize("start", [0.0, None])
def test_no_group_is_of_two_rings(start: float | None, rng: torch.Generator) -> None:
    cameras = FourViews(n_view=4, start=start).draw(32, rng)
    assert around(cameras) == [[4 * ring + view for view in range(4)] for ring in range(8)]


def test_groups_are_found_in_whatever_order_the_cameras_are(rng: torch.Generator) -> None:
    cameras = FourViews(n_view=8).draw(24, rng)[torch.randperm(24, generator=rng)]
    groups = around(cameras)
    assert sorted(view for group in groups for view in group) == list(range(24))
    for group in groups:
        turn = torch.remainder(cameras.azimuth[group].diff(), 2 * math.pi)
        torch.testing.assert_close(turn, torch.full((3,), math.pi / 2), atol=1e-5, rtol=0)
        assert cameras.elevation[group].unique().numel() == 1


def test_any_view_is_a_group_of_its_own(rng: torch.Generator) -> None:
    assert around(Orbit().draw(3, rng), n_view=1) == [[0], [1], [2]]


def test_free_views_are_refused_with_the_way_out(rng: torch.Generator) -> None:
    with pytest.raises(UserError, match=r"n_view=4: of the 16 views of a fox no 4 .*; render it with data=four_views"):
        around(Orbit().draw(16, rng))
