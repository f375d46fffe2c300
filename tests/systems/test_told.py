"""A table is of runs that were made alike: a finished one that was told otherwise is not taken for another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from data.errors import UserError
from guidance.weights.checksum import fingerprint
from systems.command.asked_runs import AskedRun
from systems.command.run_folder import RunFolder
from systems.command.told import check_told
from tests.conftest import Run

DRAFT = ['prompt="a horse, of gold"', "seed=0", "name=janus/sds", "quality=draft", "guidance=sds"]
CONFIG = OmegaConf.create({"seed": 0, "job": {"n_captions": 1000, "names": ["a", "b"], "clip": None}, "prior": {}})


def finished(tmp_path: Path, *told: str, prior: str | None = None) -> RunFolder:
    folder = RunFolder(str(tmp_path), "janus/sds", "a horse, of gold", 0)
    folder.open(OmegaConf.merge(CONFIG, {"prior": {"path": prior}}), told)
    folder.metrics.write_text(json.dumps({"janus": 0} | ({"prior": "other weights"} if prior else {})))
    return folder


@pytest.mark.parametrize(
    ("asked", "difference"),
    [
        (DRAFT, None),
        ([*reversed(DRAFT), "resume=never", "output=elsewhere", "logger=wandb", "trainer.devices=2"], None),
        ([*DRAFT, "job.n_captions=1000", "job.names='[a, b]'", "job.clip=null"], None),  # what it had by default
        ([*DRAFT, "job.n_captions=100"], "job.n_captions was 1000, is 100"),
        ([*DRAFT[:3], "quality=high", "guidance=sds"], "quality was draft, is high"),
        (DRAFT[:4], "guidance was sds, is not said"),
        ([*DRAFT, "renderer=nerf"], "renderer was not said, is nerf"),
        ([*DRAFT, "~system.losses.opacity"], "~system.losses.opacity was not said"),
        (['prompt="a horse of gold"', *DRAFT[1:]], "prompt was a horse,of gold, is a horse of gold"),
    ],
)
def test_a_finished_run_is_one_of_those_that_are_asked_for(
    tmp_path: Path, asked: list[str], difference: str | None
) -> None:
    run = AskedRun("sds", None, 0, finished(tmp_path, *DRAFT), tuple(asked))
    if difference is None:
        return check_told(run)
    with pytest.raises(UserError, match=rf"a-horse-of-gold-0 is finished, and was made otherwise \({difference}"):
        check_told(run)


def test_what_is_not_finished_is_not_asked(tmp_path: Path) -> None:
    folder = finished(tmp_path, *DRAFT)
    folder.metrics.unlink()
    check_told(AskedRun("sds", None, 0, folder, ()))


def test_a_prior_that_has_been_trained_anew_is_another_and_one_that_has_moved_is_not(tmp_path: Path) -> None:
    made_with = tmp_path / "prior"
    for part in ("unet", "vae", "scheduler", "text_encoder", "tokenizer"):
        (made_with / part).mkdir(parents=True)
    folder = finished(tmp_path, "experiment=score_prior", prior=str(made_with))
    asked = AskedRun("row", None, 0, folder, ("experiment=score_prior", f"prior.path={made_with}"))
    with pytest.raises(UserError, match="its prior had other weights"):
        check_told(asked)
    folder.metrics.write_text(json.dumps({"prior": fingerprint(made_with, ("unet", "vae"))}))
    check_told(asked)
    moved = made_with.rename(tmp_path / "moved")
    check_told(AskedRun("row", None, 0, folder, ("experiment=score_prior", f"prior.path={moved}")))
    (moved / "unet" / "weights").write_text("trained for longer")
    with pytest.raises(UserError, match="its prior had other weights"):
        check_told(AskedRun("row", None, 0, folder, ("experiment=score_prior", f"prior.path={moved}")))


def place(path: Path, command: str) -> None:
    path.mkdir(parents=True)
    (path / "command.txt").write_text(f"python launch.py {command}\n")
    (path / "metrics.json").write_text("{}")


def test_a_table_of_captions_does_not_take_the_scores_of_fewer(run: Run, tmp_path: Path) -> None:
    rows = tmp_path / "outputs" / "table1_scores"
    place(rows / "data" / "data-0", "experiment=score_toys seed=0 job.n_captions=100")
    run.overrides = [
        *run.overrides[1:],
        *(f"~job.rows.{row}" for row in ("no_2d", "proposed", "proposed_4x", "shipped")),
    ]
    assert "data-0 is finished, and was made otherwise (job.n_captions was 100, is 1000)" in run.error(
        "experiment=table1_scores", "resume=never"
    )
    run.accepts("experiment=table1_scores", "n_captions=100")
    run.accepts("experiment=table1_scores", "seed=1")  # has a folder of its own


def test_an_evaluation_is_of_one_quality(run: Run, tmp_path: Path) -> None:
    made = tmp_path / "outputs" / "janus" / "sds" / "a-red-dog-wearing-a-blue-hat-1"
    place(made, 'prompt="a red dog wearing a blue hat" seed=1 quality=draft guidance=sds')
    run.overrides = [*run.overrides[1:], "job.make=nothing"]
    run.accepts("experiment=evaluate", "quality=draft")
    assert "quality was draft, is default): say the same again, or name=another" in run.error("experiment=evaluate")
