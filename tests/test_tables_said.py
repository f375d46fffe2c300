"""What the command line of a table says to the runs that the table asks for, before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import initialize_config_dir

import launch
from data.errors import UserError
from systems.command.asked_runs import AskedRun, asked_runs, told_to
from systems.command.check import compose_checked
from systems.command.overrides import parse
from tests.conftest import Run

ONE_SETTING = [f"~evaluation.settings.{name}" for name in ("sds_view_dependent", "sds_perp_neg", "mv_sds")]


def asked(*overrides: str) -> list[AskedRun]:
    with initialize_config_dir(str(launch.CONF), version_base="1.3"):
        return asked_runs(compose_checked([parse(text) for text in overrides]).job)


def test_what_is_not_about_the_table_is_said_to_its_runs() -> None:
    said = ["prior.path=mine", "renderer=nerf", "trainer.max_steps=5", "logger=wandb", "quality=draft"]
    runs = asked("experiment=evaluate", "job.shard=0/2", "~evaluation.settings.sds", *said)
    assert {run.row for run in runs} == {"sds_view_dependent", "sds_perp_neg", "mv_sds"} and len(runs) == 20 * 3 * 3
    prompt, seed, *told = runs[-1].overrides
    assert (prompt.split("=")[0], seed) == ("prompt", "seed=2")
    assert told == ["output=outputs", "name=janus/mv_sds", "quality=draft", "guidance=mv_sds", *said[:-1]]


def test_scores_are_drawn_as_the_command_of_their_table_says() -> None:
    runs = asked("experiment=table1_scores", "n_captions=200", "sampler.steps=10", "seed=3")
    for run in runs:
        assert {"job.n_captions=200", "sampler.steps=10", "seed=3"} <= set(run.overrides)
        assert not any(text.startswith("n_captions") for text in run.overrides)
    assert runs[0].folder.path.name.endswith("-3")


def test_a_prompt_takes_the_place_of_the_file() -> None:
    for said in ('prompt="a red dog"', "job.prompts=[a red dog]"):
        runs = asked("experiment=evaluate", said, "job.seeds=[4]")
        assert [run.folder.path.name for run in runs] == ["a-red-dog-4"] * 4


def test_two_prompts_of_one_folder_are_refused_by_a_table_and_a_sweep(run: Run) -> None:
    for said in (
        ["experiment=evaluate", "job.prompts=[a red dog,a Red dog]"],
        ['prompt="a red dog","a Red dog"', "-m"],
    ):
        assert '"a red dog" and "a Red dog" would share the folder a-red-dog' in run.error(*said)


def test_a_word_against_that_of_a_row_is_refused() -> None:
    with pytest.raises(UserError, match=r"guidance=mv_sds: the runs of sds are told guidance=sds; leave out one"):
        told_to("sds", ["guidance=sds"], ["quality=draft"], ["guidance=mv_sds"], "outputs", "janus")


def test_an_evaluation_has_seeds(run: Run) -> None:
    assert "seed=7: an evaluation has several, say job.seeds=[7]" in run.error("experiment=evaluate", "seed=7")


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("job.prompts=[a red dog,a red unicorn]", 'sds: prompt="a red unicorn'),
        ("+evaluation.settings.mine=['guidance=nonsense']", "mine: guidance=nonsense: there is no such option"),
        ("prior.path=/nowhere", "sds: prior.path=/nowhere: there is no such folder"),
    ],
)
def test_every_run_of_an_evaluation_is_checked_before_the_first_starts(run: Run, said: str, message: str) -> None:
    run.overrides = run.overrides[1:]
    assert message in run.error("experiment=evaluate", said, *ONE_SETTING)


def test_an_unfinished_run_of_other_settings_is_told_before_the_first_starts(run: Run, tmp_path: Path) -> None:
    begun = tmp_path / "outputs" / "janus" / "sds" / "a-red-dog-2"
    (begun / "checkpoints").mkdir(parents=True)
    (begun / "checkpoints" / "last.ckpt").touch()
    (begun / "config.yaml").write_text("prompt: a red dog\nseed: 2\n")
    run.overrides = run.overrides[1:]
    assert "sds: " in (error := run.error("experiment=evaluate", "prompt=a red dog", *ONE_SETTING))
    assert "a-red-dog-2 holds an unfinished run with another configuration" in error


def test_a_table_of_what_is_there_asks_for_no_weights(run: Run) -> None:
    run.overrides = run.overrides[1:]
    run.accepts("experiment=evaluate", "prior.path=/nowhere", "job.make=nothing")


def test_a_row_whose_prior_is_not_trained_yet_keeps_no_other_from_its_scores(run: Run) -> None:
    own = ["~job.rows.proposed", "~job.rows.proposed_4x", "~job.rows.shipped", "~job.rows.data"]
    run.overrides = run.overrides[1:]
    run.accepts("experiment=table1_scores", *own, "job.rows.no_2d=['experiment=score_prior','prior.path=/nowhere']")
    assert "no_2d: job.n_captions=0 must be" in run.error("experiment=table1_scores", *own, "n_captions=0")


def test_what_a_table_can_make_is_told(run: Run) -> None:
    for experiment in ("evaluate", "table1_scores"):
        assert "job.make=all must be one of missing, nothing" in run.error(f"experiment={experiment}", "job.make=all")
