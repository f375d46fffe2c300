import math

import pytest
import torch

from data.cameras import condition, look_at_origin
from data.errors import UserError
from guidance.diffusion_prior import DiffusionPrior
from guidance.prompts import PromptProcessor
from guidance.view_words import PerpNeg, ViewDependent
from guidance.wording import Template


@pytest.fixture(scope="module")
def prior(prior_folder):
    return DiffusionPrior(str(prior_folder()), n_view=4, dtype="float32")


@pytest.fixture(scope="module")
def prior_2d(prior_folder):
    return DiffusionPrior(str(prior_folder(camera=False)), n_view=1, dtype="float32")


@pytest.fixture
def cameras():
    azimuth = torch.arange(4) * math.pi / 2
    full = torch.full((4,), 0.3)
    return look_at_origin(azimuth, full, 5 * full, 2 * full, 8, 8)


def test_every_view_gets_the_sentence_with_the_suffix_and_its_camera(prior, cameras, tmp_path):
    asked = PromptProcessor("a red dog", "hat", cache_dir=str(tmp_path))(prior).at(cameras)
    positive, negative = prior.encode_text(["a red dog, 3d asset", "hat"])
    torch.testing.assert_close(asked.cond.text, positive.expand(4, -1, -1))
    torch.testing.assert_close(asked.uncond.text, negative.expand(4, -1, -1))
    torch.testing.assert_close(asked.cond.camera, condition(cameras))
    torch.testing.assert_close(asked.uncond.camera, condition(cameras))


def test_a_2d_prior_gets_the_suffix_but_no_camera(prior_2d, cameras, tmp_path):
    asked = PromptProcessor("a red dog", cache_dir=str(tmp_path))(prior_2d).at(cameras)
    torch.testing.assert_close(asked.cond.text[:1], prior_2d.encode_text(["a red dog, 3d asset"]))
    assert asked.cond.camera is None
    assert asked.uncond.camera is None


def test_every_view_gets_the_sentence_of_its_direction(prior_2d, cameras, tmp_path):
    words = ViewDependent(Template("{direction}, {prompt}", "red", "dog", "hat"), overhead=None)
    asked = PromptProcessor("a", view_words=words, cache_dir=str(tmp_path))(prior_2d).at(cameras)
    front, side, back = prior_2d.encode_text([f"{word}, a, 3d asset" for word in ("dog", "red", "hat")])
    torch.testing.assert_close(asked.cond.text, torch.stack([front, side, back, side]))
    torch.testing.assert_close(asked.uncond.text, prior_2d.encode_text([""]).expand(4, -1, -1))
    assert asked.avoided == ()


def test_what_is_avoided_is_seen_by_the_same_cameras(prior, cameras, tmp_path):
    words = PerpNeg(Template("{direction}, {prompt}", "red", "dog", "hat"), overhead=None)
    asked = PromptProcessor("a", view_words=words, cache_dir=str(tmp_path))(prior).at(cameras)
    for one, word in zip(asked.avoided, ("dog", "red"), strict=True):
        torch.testing.assert_close(one.condition.text, prior.encode_text([f"{word}, a, 3d asset"]).expand(4, -1, -1))
        torch.testing.assert_close(one.condition.camera, condition(cameras))


def test_unknown_words_are_refused(prior, tmp_path):
    with pytest.raises(UserError, match="nearest: dog"):
        PromptProcessor("a red dogg", cache_dir=str(tmp_path))(prior)


def test_unknown_view_words_are_refused_too(prior_2d, tmp_path):
    with pytest.raises(UserError, match=r"a red dog, 3d asset, side view.*has not learned 'side' or 'view'"):
        PromptProcessor("a red dog", view_words=ViewDependent(), cache_dir=str(tmp_path))(prior_2d)
