import math

import pytest
import torch

from data.cameras import look_at_origin
from data.directions import BACK, FRONT, OVERHEAD, SIDE
from data.errors import UserError
from guidance import view_words
from guidance.view_words import PerpNeg, SameWords, ViewDependent, ViewWords
from guidance.wording import ManualViews

TEXTS = torch.randn(4, 3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
F_SB, F_FSB, F_FS, F_SF = (1, 0.5, -0.606), (1, 0.5, 0.967), (4, 0.5, -2.426), (4, 0.5, -2.426)  # as published


def seen_from(azimuths, elevation=0.0):
    azimuth = torch.deg2rad(torch.tensor(azimuths, dtype=torch.float64))
    full = torch.ones_like(azimuth)
    return look_at_origin(azimuth, math.radians(elevation) * full, 2 * full, full, 4, 4)


def decay(abc, r):
    a, b, c = abc
    return a * math.exp(-b * r) + c


def perp_neg(azimuth):
    """As printed: (shares of side, front and back in the wanted text), (weight of the front, of the side)."""
    azimuth = abs((azimuth + 180) % 360 - 180)
    if azimuth < 90:
        r = 1 - azimuth / 90
        return (1 - r, r, 0.0), (-decay(F_FS, r), -decay(F_SF, 1 - r))
    r = 2 - azimuth / 90
    return (r, 0.0, 1 - r), (-decay(F_FSB, r), -decay(F_SB, r))


@pytest.mark.parametrize("kind", [SameWords, ViewDependent, PerpNeg])
def test_all_are_view_words(kind):
    assert isinstance(kind(), ViewWords)


@pytest.mark.parametrize("kind", [ViewDependent, PerpNeg])
def test_a_view_from_above_has_a_sentence_only_if_there_may_be_one(kind):
    assert kind().sentences("a dog", "!")[OVERHEAD] == "a dog!, overhead view"
    assert kind(overhead=None).sentences("a dog", "!") == [
        "a dog!, side view",
        "a dog!, front view",
        "a dog!, back view",
    ]


def test_a_view_gets_the_text_of_its_direction():
    views = ViewDependent(front=30.0, back=30.0)
    wanted, avoided = views.at(TEXTS, seen_from([0.0, 29.9, 30.1, -149.9, -150.1, 361.0, 539.0]))
    expected = [FRONT, FRONT, SIDE, SIDE, BACK, FRONT, BACK]
    torch.testing.assert_close(wanted, TEXTS[expected])
    assert avoided == []
    torch.testing.assert_close(views.at(TEXTS, seen_from([0.0], elevation=60.1))[0], TEXTS[[OVERHEAD]])


def test_without_an_overhead_view_three_texts_are_enough():
    cameras = seen_from([0.0, 90.0, 180.0], elevation=89.0)
    wanted, _ = ViewDependent(overhead=None).at(TEXTS[:OVERHEAD], cameras)
    torch.testing.assert_close(wanted, TEXTS[[FRONT, SIDE, BACK]])
    wanted, _ = PerpNeg(overhead=None).at(TEXTS[:OVERHEAD], cameras)
    torch.testing.assert_close(wanted, TEXTS[[FRONT, SIDE, BACK]])


def test_prompts_of_ones_own_are_chosen_by_direction():
    views = ViewDependent(ManualViews(back="a tail"), overhead=None)
    assert views.sentences("a dog", "") == ["a dog", "a dog", "a tail"]


def test_perp_neg_says_and_avoids_what_is_printed():
    azimuths = [0.0, 1.0, 45.0, 89.9, 90.0, 90.1, 135.0, 179.9, 180.0, 200.0, 300.0, 400.0, -30.0, -170.0]
    wanted, ((front, front_weight), (side, side_weight)) = PerpNeg().at(TEXTS, seen_from(azimuths))
    shares, weights = zip(*map(perp_neg, azimuths), strict=True)
    shares = torch.tensor(shares, dtype=torch.float64)
    torch.testing.assert_close(wanted, torch.einsum("bk,kld->bld", shares, TEXTS[[SIDE, FRONT, BACK]]))
    found = torch.stack([front_weight, side_weight], dim=1)
    torch.testing.assert_close(found, torch.tensor(weights, dtype=torch.float64))
    torch.testing.assert_close(front, TEXTS[[FRONT]].expand_as(front))
    torch.testing.assert_close(side, TEXTS[[SIDE]].expand_as(side))


def test_perp_neg_avoids_and_never_seeks():
    _, avoided = PerpNeg().at(TEXTS, seen_from(torch.linspace(-180, 180, 721).tolist()))
    assert all((weight <= 0).all() for _, weight in avoided)


def test_perp_neg_avoids_nothing_where_the_view_is_wanted_whole():
    """The published numbers are rounded so that f(1) is 0 to three digits."""
    _, ((_, front), (_, side)) = PerpNeg().at(TEXTS, seen_from([0.0, 90.0]))
    assert abs(front[0]) < 1e-3 and abs(side[1]) < 1e-3
    assert front[1] < -1.5 and side[0] < -1.5


def test_left_and_right_are_alike():
    azimuths = torch.linspace(0, 179, 80)
    left, right = (PerpNeg().at(TEXTS, seen_from((sign * azimuths).tolist())) for sign in (1, -1))
    torch.testing.assert_close(left[0], right[0])
    for (_, one), (_, other) in zip(left[1], right[1], strict=True):
        torch.testing.assert_close(one, other)


def test_nothing_jumps_on_the_way_around():
    step = 0.01
    azimuths = torch.arange(-180, 180, step, dtype=torch.float64)
    here = PerpNeg().at(TEXTS, seen_from(azimuths.tolist()))
    there = PerpNeg().at(TEXTS, seen_from((azimuths + step).tolist()))
    assert (here[0] - there[0]).abs().max() < step / 90 * 1.01 * max(
        (TEXTS[a] - TEXTS[SIDE]).abs().max() for a in (1, 2)
    )
    for (_, one), (_, other) in zip(here[1], there[1], strict=True):
        assert (one - other).abs().max() < 1e-3  # which is the published numbers' own, at 90 degrees


def test_from_above_perp_neg_avoids_nothing():
    wanted, avoided = PerpNeg().at(TEXTS, seen_from([0.0, 45.0, 180.0], elevation=61.0))
    torch.testing.assert_close(wanted, TEXTS[[OVERHEAD] * 3], rtol=0.0, atol=0.0)
    assert all(weight.tolist() == [0.0, 0.0, 0.0] for _, weight in avoided)


@pytest.mark.parametrize("name", ["f_sb", "f_fsb", "f_fs", "f_sf"])
def test_each_weight_follows_its_own_numbers(name):
    azimuths = [30.0, 150.0]
    _, usual = PerpNeg().at(TEXTS, seen_from(azimuths))
    _, other = PerpNeg(**{name: (2.0, 1.0, 3.0)}).at(TEXTS, seen_from(azimuths))
    r = 1 - 30 / 90
    expected = {
        "f_fs": (0, 0, decay((2, 1, 3), r)),
        "f_sf": (1, 0, decay((2, 1, 3), 1 - r)),
        "f_fsb": (0, 1, decay((2, 1, 3), 2 - 150 / 90)),
        "f_sb": (1, 1, decay((2, 1, 3), 2 - 150 / 90)),
    }
    which, view, value = expected[name]
    changed = torch.stack([a - b for (_, a), (_, b) in zip(usual, other, strict=True)]) != 0
    assert changed.sum() == 1 and changed[which, view]
    assert other[which][1][view].item() == pytest.approx(-value)


def test_numbers_that_would_seek_what_is_to_be_avoided_are_refused():
    with pytest.raises(UserError, match=r"view_words\.f_fs=\[4\.0, 0\.5, -3\.0\].*raise c"):
        PerpNeg(f_fs=(4.0, 0.5, -3.0))


@pytest.mark.parametrize("kind", [ViewDependent, PerpNeg])
def test_a_language_model_is_asked_only_where_one_is_named(kind, monkeypatch):
    monkeypatch.setattr(view_words, "MaskedLanguageModel", lambda path: pytest.fail(f"{path} was loaded"))
    assert kind(overhead=None).sentences("a dog", "")[BACK] == "a dog, back view"
    dogs_face_us = lambda text: torch.tensor([0.1, 0.7, 0.1, 0.1] if "dog" in text else [0.25] * 4)
    monkeypatch.setattr(view_words, "MaskedLanguageModel", lambda path: dogs_face_us)
    said = kind(overhead=None, debias_model="bert").sentences("a dog", ", 3d asset")
    assert said == ["a, 3d asset, side view", "a dog, 3d asset, front view", "a, 3d asset, back view"]
