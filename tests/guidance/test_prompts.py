import math

import pytest
import torch

from data.cameras import condition, look_at_origin
from data.errors import UserError
from guidance.diffusion_prior import DiffusionPrior
from guidance.prompts import PromptProcessor


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


def test_embeddings_are_read_from_the_cache_the_second_time(prior, cameras, tmp_path, monkeypatch):
    processor = PromptProcessor("a red dog", cache_dir=str(tmp_path))
    first = processor(prior)
    monkeypatch.setattr(DiffusionPrior, "encode_text", lambda self, prompts: pytest.fail("the text encoder ran again"))
    second = processor(prior)
    for name in ("texts", "negative"):
        torch.testing.assert_close(getattr(first, name), getattr(second, name), rtol=0.0, atol=0.0)
    assert [file.suffix for file in tmp_path.iterdir()] == [".safetensors"]


@pytest.mark.parametrize("change", [{"prompt": "a dog"}, {"negative_prompt": "hat"}, {"suffix": ""}])
def test_other_texts_are_cached_apart(prior, tmp_path, change):
    PromptProcessor("a red dog", cache_dir=str(tmp_path))(prior)
    PromptProcessor(**{"prompt": "a red dog", "cache_dir": str(tmp_path)} | change)(prior)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_cache_that_cannot_be_written_only_warns(prior, tmp_path, caplog):
    (tmp_path / "file").touch()
    PromptProcessor("a red dog", cache_dir=str(tmp_path / "file" / "cache"))(prior)
    assert "embeddings are not kept" in caplog.text


def test_unknown_words_are_refused(prior, tmp_path):
    with pytest.raises(UserError, match="nearest: dog"):
        PromptProcessor("a red dogg", cache_dir=str(tmp_path))(prior)
