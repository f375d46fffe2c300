import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from metrics.janus import ELEVATIONS, N_AZIMUTHS, Rule, ViewClassifier, front_arcs, janus, janus_cameras, smoothed

RULE = Rule(threshold=0.5, margin=0.05, widest=135.0)
AZIMUTH = torch.arange(N_AZIMUTHS) * 360 / N_AZIMUTHS


def seen_from(*fronts: float, reach: float = 45.0) -> Float[Tensor, "e a"]:
    """P(front) of an object with faces at these azimuths: 0.9 within `reach` of one, else 0.1."""
    off = [((AZIMUTH - front + 180) % 360 - 180).abs() for front in fronts]
    is_front = torch.stack([one < reach for one in off]).any(dim=0) if fronts else torch.zeros(N_AZIMUTHS) > 0
    return torch.where(is_front, 0.9, 0.1).expand(len(ELEVATIONS), -1)


@pytest.mark.parametrize("front", [0.0, 15.0, 90.0, 180.0, 345.0])
def test_one_front_is_one_wherever_it_is(front):
    assert front_arcs(seen_from(front), RULE) == 1


@pytest.mark.parametrize("back", [120.0, 180.0, 240.0])
def test_a_front_far_from_the_first_is_a_second(back):
    assert front_arcs(seen_from(0.0, back), RULE) == 2


@pytest.mark.parametrize("side", [75.0, 90.0, 270.0])
def test_a_front_that_can_not_be_parted_from_the_first_makes_the_arc_too_wide(side):
    assert front_arcs(seen_from(0.0, side), RULE) == 2


def test_a_face_on_every_side_is_janus():
    assert front_arcs(seen_from(0.0, 90.0, 180.0, 270.0), RULE) == 3  # 360 / 135, rounded up
    assert front_arcs(torch.full((2, N_AZIMUTHS), 0.9), RULE) == 3


def test_no_front_is_none():
    assert front_arcs(seen_from(), RULE) == 0
    assert front_arcs(torch.full((2, N_AZIMUTHS), 0.52), RULE) == 0  # it never rises above threshold + margin


def test_one_view_that_is_misread_changes_nothing():
    for i in range(N_AZIMUTHS):
        p = seen_from(0.0).clone()
        p[:, i] = 1 - p[:, i]
        assert front_arcs(p, RULE) == 1


def test_elevations_are_averaged():
    one, none = seen_from(0.0)[0], seen_from()[0]
    assert front_arcs(torch.stack([one, one]), RULE) == 1
    assert front_arcs(torch.stack([one, none]), RULE) == 0  # 0.5 in the mean


def test_noise_neither_makes_a_front_nor_parts_one(rng):
    for _ in range(200):
        p = seen_from(0.0) + 0.15 * torch.randn(2, N_AZIMUTHS, generator=rng)
        assert front_arcs(p, RULE) == 1


def test_a_dip_within_the_margin_does_not_part_a_front():
    p = 0.5 + 0.2 * torch.cos(torch.deg2rad(2 * AZIMUTH)).expand(2, -1)
    assert front_arcs(p, Rule(0.5, margin=0.05)) == 2
    assert front_arcs(p, Rule(0.5, margin=0.25)) == 0
    assert front_arcs(p.clamp(min=0.47), Rule(0.5, margin=0.05, widest=360.0)) == 1


def test_smoothing_keeps_the_mean_and_goes_around_the_circle():
    p = torch.zeros(N_AZIMUTHS).index_fill(0, torch.tensor([0]), 1.0)
    assert smoothed(p)[[-1, 0, 1]].tolist() == [0.25, 0.5, 0.25]
    assert smoothed(p).sum() == 1


def test_the_cameras_go_around_once_per_elevation():
    cameras = janus_cameras(16)
    assert len(cameras) == len(ELEVATIONS) * N_AZIMUTHS
    degrees = torch.rad2deg(cameras.azimuth.unflatten(0, (len(ELEVATIONS), N_AZIMUTHS)))
    torch.testing.assert_close(degrees, AZIMUTH.expand(len(ELEVATIONS), -1))
    assert torch.rad2deg(cameras.elevation[::N_AZIMUTHS]).tolist() == pytest.approx(list(ELEVATIONS))


class Told:
    """A classifier whose pictures say it themselves: P(front) is their brightness."""

    def p_front(self, images: Float[Tensor, "b h w 3"], prompt: str) -> Float[Tensor, "b"]:
        return images.mean(dim=(1, 2, 3))


def shown(*fronts: float) -> Float[Tensor, "b h w 3"]:
    return seen_from(*fronts).flatten()[:, None, None, None].expand(-1, 2, 2, 3)


def solid(opacity: float) -> Float[Tensor, "b h w 1"]:
    return torch.full((len(ELEVATIONS) * N_AZIMUTHS, 2, 2, 1), opacity)


def test_what_is_hardly_there_has_no_front_whatever_a_classifier_says():
    look = lambda opacity: janus(shown(0.0, 180.0), solid(opacity), "a dog", Told(), RULE)
    assert [look(opacity).is_janus for opacity in (0.0, 0.01, 0.03, 1.0)] == [False, False, True, True]
    assert look(0.0).front_arcs == 0


def test_two_fronts_are_janus_and_none_is_not():
    assert isinstance(Told(), ViewClassifier)
    look = lambda *fronts: janus(shown(*fronts), solid(0.2), "a dog", Told(), RULE)
    found = (look(), look(0.0), look(0.0, 180.0))
    assert [(score.front_arcs, score.is_janus) for score in found] == [(0, False), (1, False), (2, True)]
    torch.testing.assert_close(look(90.0).p_front, seen_from(90.0)[0])


@pytest.mark.parametrize(("low", "high", "arcs"), [(0.1, 0.5, 1), (0.7, 0.98, 3), (0.35, 0.45, 3), (0.1, 0.2, 0)])
def test_the_level_is_between_what_p_front_varies_over_where_it_does(low: float, high: float, arcs: int) -> None:
    """One blurred front; a front wherever one looks, also where one side is clearer; a smear of fronts; none."""
    rule = Rule(threshold=0.28, margin=0.02, widest=165.0, contrast=0.2)
    wave = (0.5 + 0.5 * torch.cos(torch.deg2rad(AZIMUTH))).square()
    assert front_arcs((low + (high - low) * wave)[None], rule) == arcs
