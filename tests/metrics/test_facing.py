import pytest
import torch

from data.samplers import turntable
from data.toybox.split import HELD_OUT
from metrics.facing import facing
from metrics.toybox_truth import toy_of, true_views

CAMERAS = turntable(8, 64)
FRONTED = HELD_OUT[:8]  # those with faces


@pytest.fixture(scope="module", params=FRONTED)
def views(request):
    return true_views(toy_of(request.param), CAMERAS)[0]


def test_the_true_object_faces_the_right_way_also_when_blurred_and_noisy(views, rng):
    blurred = torch.nn.functional.avg_pool2d(views.movedim(-1, 1), 3, 1, 1).movedim(1, -1)
    assert facing(views, views, CAMERAS.azimuth) == 1.0
    assert facing(blurred + 0.05 * torch.randn(views.shape, generator=rng), views, CAMERAS.azimuth) == 1.0


@pytest.mark.parametrize("shift", [(3, 0), (-2, 2), (0, -4)])
def test_an_object_that_stands_a_little_elsewhere_faces_the_right_way(views, shift):
    assert facing(views.roll(shift, dims=(1, 2)), views, CAMERAS.azimuth) >= 3 / 4


def test_a_face_on_every_side_is_janus(views):
    assert facing(views[:1].expand_as(views), views, CAMERAS.azimuth) == 3 / 8


def test_a_second_face_at_the_back_is_janus(views):
    """The front half of the object, and its copy turned by half a circle."""
    assert facing(views[[0, 1, 7, 7, 0, 1, 1, 7]], views, CAMERAS.azimuth) <= 5 / 8


def test_an_object_turned_by_a_quarter_faces_the_wrong_way(views):
    assert facing(views.roll(2, dims=0), views, CAMERAS.azimuth) == 0.0
