from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import imageio.v3 as iio
import pytest
import torch

from data.errors import UserError
from guidance.sampling import DDIM
from metrics.ground_truth import psnr
from systems.command.run_folder import RunFolder
from systems.evaluation.compare_assets import CompareAssets
from tests.conftest import Run
from tests.data.test_shards import seen, shard

RED = torch.tensor([0.9, 0.1, 0.1])


@pytest.fixture
def shards(tmp_path: Path, rng: torch.Generator) -> str:
    """Five objects to train on and one that is held out, eight views of each, of 16 pixels."""
    for split, names in {"train": ("ant", "bee", "cow", "doe", "emu"), "heldout": ("fox",)}.items():
        objects = [replace(seen(name, rng, 8, 16, split), captions=[f"a {name}"]) for name in names]
        shard(tmp_path, objects, split)
    return str(tmp_path)


def test_samples_stand_beside_the_renders_from_the_same_cameras(red_prior, shards: str, tmp_path: Path) -> None:
    folder = RunFolder(str(tmp_path), "compared", None, 0)
    folder.path.mkdir(parents=True)
    job = CompareAssets(red_prior, DDIM(steps=2), shards, n_objects=3, cache_dir=str(tmp_path / "prompts"))
    job.run(folder, None)
    found = json.loads(folder.metrics.read_text())
    assert [(row["split"], row["caption"]) for row in found["objects"]] == [
        ("heldout", "a fox"), ("train", "a ant"), ("train", "a bee"), ("train", "a doe"),
    ]  # fmt: skip
    _, split, index = job.chosen[0]
    truth = job._truth(split, index)
    assert torch.cos(truth.cameras.azimuth[0]) >= math.cos(math.pi / 8) - 1e-4
    torch.testing.assert_close(torch.cos(truth.cameras.azimuth.diff()), torch.zeros(3), atol=1e-5, rtol=0)
    rgba = truth.images.float() / 255
    over_grey = rgba[..., :3] * rgba[..., 3:] + 0.5 * (1 - rgba[..., 3:])
    assert found["heldout"]["mean_psnr"] == pytest.approx(psnr(RED.expand_as(over_grey), over_grey), abs=0.05)
    height, width, _ = iio.imread(folder.path / "samples.png").shape
    assert height == 2 * (16 + 14) and width == 2 * (8 * 16 + 2 * 6)


def test_captions_name_objects_of_either_split(red_prior, shards: str) -> None:
    job = CompareAssets(red_prior, DDIM(steps=2), shards, ["a cow", "a fox"])
    assert [(split, job.shards[split].captions(i)) for _, split, i in job.chosen] == [
        ("train", ["a cow"]), ("heldout", ["a fox"]),
    ]  # fmt: skip
    with pytest.raises(UserError, match=r'job.captions: no object of the shards is "a fix"; .* nearest: a fox'):
        CompareAssets(red_prior, DDIM(steps=2), shards, ["a fix"])


def test_captions_with_words_that_the_prior_has_not_learned_are_not_chosen(red_prior, shards: str) -> None:
    red_prior.vocabulary = ("a", "bee", "fox")
    job = CompareAssets(red_prior, DDIM(steps=2), shards, n_objects=3)
    assert [caption for caption, _, _ in job.chosen] == ["a fox", "a bee"]
    red_prior.vocabulary = ("a", "dog")
    with pytest.raises(UserError, match="knows the words of no caption of the shards"):
        CompareAssets(red_prior, DDIM(steps=2), shards)


def test_nothing_need_be_held_out(red_prior, shards: str) -> None:
    Path(shards, "heldout-00000.tar").unlink()
    job = CompareAssets(red_prior, DDIM(steps=2), shards, n_objects=2)
    assert [caption for caption, _, _ in job.chosen] == ["a ant", "a cow"]
    Path(shards, "train-00000.tar").unlink()
    with pytest.raises(UserError, match=r"shards=.* holds no train-\*.tar"):
        CompareAssets(red_prior, DDIM(steps=2), shards)


def test_both_experiments_ask_for_the_shards(run: Run, shards: str) -> None:
    for experiment in ("compare_assets", "train_prior_assets"):
        assert "shards is missing: say shards=FOLDER, one that" in run.error(f"experiment={experiment}")
        run.accepts(f"experiment={experiment}", f"shards={shards}")
    run.accepts("experiment=train_prior_assets", f"shards={shards}", "system.views.shares.toys=0.3")


def test_shards_may_be_all_that_is_trained_on(run: Run, shards: str) -> None:
    run.accepts("experiment=train_prior_assets", f"shards={shards}", "system/views=assets")
    mvdream = ("experiment=train_mvdream", "prior=any", "prior.path=assets/mini")
    for choice, key in (("assets", "system.views.path"), ("toys_and_assets", "system.views.parts.assets.path")):
        wrong = run.error(*mvdream, f"system/views={choice}")
        assert f"{key} is missing: it would be shards" in wrong
        assert f"; say {key}=FOLDER, one that experiment=render_assets has written" in wrong
        run.accepts(*mvdream, f"system/views={choice}", f"{key}={shards}")
