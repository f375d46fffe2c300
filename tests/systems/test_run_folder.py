from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from data.errors import UserError
from systems.command.run_folder import FinishedError, RunFolder, slug

CONFIG = OmegaConf.create({"prompt": "a dog", "seed": 0, "resume": "auto", "steps": 6})


def folder(tmp_path: Path, resume: str = "auto") -> RunFolder:
    return RunFolder(str(tmp_path), "text_to_3d", "a dog", 0, resume=resume)


def unfinished(tmp_path: Path, config: DictConfig = CONFIG) -> RunFolder:
    """A run that has written its config and a checkpoint."""
    run = folder(tmp_path)
    run.open(config, ["prompt=a dog"])
    with zipfile.ZipFile(run.checkpoint, "w") as archive:
        archive.writestr("data.pkl", b"state" * 1000)
    return run


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("A  red dog, pleased", "a-red-dog-pleased"),
        ("A red dog.", "a-red-dog"),
        ("~/.training/mini/", "training-mini"),
        ("table 0/2", "table-0-2"),
        ("x" * 80, "x" * 80),
        (None, "run"),
        ("a red dog!", "a-red-dog-a1358c17"),
        ("狗", "prompt-cecd675a"),
    ],
)
def test_slug_is_a_short_plain_name(prompt: str | None, name: str) -> None:
    assert slug(prompt) == name


def test_prompts_that_differ_have_names_that_differ() -> None:
    prompts = ["a dog", "a dog!", "a dog?", "¿a dog", "a dög", "狗", "猫", "!", ".", "x" * 80, "x" * 81, "x" * 82]
    assert len({slug(prompt) for prompt in prompts}) == len(prompts)
    assert all(len(slug(prompt)) <= 80 for prompt in prompts)
    assert slug("A DOG!") == slug("a  dog!")


def test_folder_is_named_after_experiment_prompt_and_seed(tmp_path: Path) -> None:
    assert folder(tmp_path).path == tmp_path / "text_to_3d" / "a-dog-0"
    swept = RunFolder(str(tmp_path), "text_to_3d", "a dog", 3, variant="guidance=sds")
    assert swept.path == tmp_path / "text_to_3d" / "guidance=sds" / "a-dog-3"


def test_new_run_starts_and_writes_down_what_it_is(tmp_path: Path) -> None:
    run = folder(tmp_path)
    assert run.open(CONFIG, ['prompt="a dog"', "data.fov=[40, 45]"]) is None
    assert OmegaConf.load(run.config) == CONFIG
    assert run.command.read_text() == "python launch.py prompt=\"a dog\" 'data.fov=[40, 45]'\n"


def test_command_of_a_sweeps_job_names_its_own_folder(tmp_path: Path) -> None:
    run = RunFolder(str(tmp_path), "text_to_3d", "a dog", 3, variant="guidance=sds")
    run.open(CONFIG, ["guidance=sds", "folder.variant=${hydra:job.override_dirname}"])
    assert run.command.read_text() == "python launch.py guidance=sds 'folder.variant=\"guidance=sds\"'\n"


def test_sweep_over_paths_stays_in_its_folder(tmp_path: Path) -> None:
    swept = RunFolder(str(tmp_path), "text_to_3d", "a dog", 3, variant="prior.path=../../a,b=..")
    assert swept.path == tmp_path / "text_to_3d" / "prior.path=.." / "up" / "a,b=.." / "a-dog-3"


def test_damaged_configuration_of_an_unfinished_run_is_told(tmp_path: Path) -> None:
    run = unfinished(tmp_path)
    run.config.write_text("a: [")
    with pytest.raises(UserError, match=r"config.yaml, of an unfinished run, is no configuration .*resume=never"):
        folder(tmp_path).plan(CONFIG)


def test_unfinished_run_continues(tmp_path: Path) -> None:
    run = unfinished(tmp_path)
    assert folder(tmp_path).plan(CONFIG) == run.checkpoint


def test_unfinished_run_with_another_config_is_kept(tmp_path: Path) -> None:
    unfinished(tmp_path)
    with pytest.raises(UserError, match=r"steps was 6, is 9.*resume=never"):
        folder(tmp_path).plan(OmegaConf.merge(CONFIG, {"steps": 9}))


def test_what_only_watches_or_shares_the_work_may_differ(tmp_path: Path) -> None:
    watched = {"job": {"trainer": {"callbacks": [{"every": 100}], "logger": False, "workers": 0, "precision": 32}}}
    run = unfinished(tmp_path, OmegaConf.merge(CONFIG, watched))
    watched["job"]["trainer"] |= {"callbacks": [{"every": 7}], "logger": {"project": "x"}, "workers": 4}
    assert folder(tmp_path).plan(OmegaConf.merge(CONFIG, watched)) == run.checkpoint
    watched["job"]["trainer"]["precision"] = 16
    with pytest.raises(UserError, match=r"job\.trainer\.precision was 32, is 16"):
        folder(tmp_path).plan(OmegaConf.merge(CONFIG, watched))


def test_finished_run_is_not_overwritten(tmp_path: Path) -> None:
    unfinished(tmp_path).metrics.touch()
    with pytest.raises(UserError, match=r"finished run: say resume=never"):
        folder(tmp_path).plan(CONFIG)


def test_finished_run_of_another_configuration_is_not_taken_for_this_one(tmp_path: Path) -> None:
    """But one that is older than a key, or has lost its configuration, is finished."""
    run = unfinished(tmp_path)
    run.metrics.touch()
    with pytest.raises(UserError, match=r"finished run with another configuration \(steps was 6, is 9\)") as told:
        folder(tmp_path).plan(OmegaConf.merge(CONFIG, {"steps": 9}))
    assert not isinstance(told.value, FinishedError) and "continue" not in str(told.value)
    with pytest.raises(FinishedError):
        folder(tmp_path).plan(OmegaConf.merge(CONFIG, {"new": 1}))
    run.config.unlink()
    with pytest.raises(FinishedError):
        folder(tmp_path).plan(CONFIG)


def test_never_replaces_all_that_was_there(tmp_path: Path) -> None:
    run = unfinished(tmp_path)
    run.metrics.touch()
    assert folder(tmp_path, "never").open(CONFIG, []) is None
    assert not run.metrics.exists() and not run.checkpoint.exists()


def test_what_is_replaced_comes_back_until_the_new_run_has_saved_something(tmp_path: Path) -> None:
    run = unfinished(tmp_path)
    run.metrics.write_text("good")
    for killed in (False, True):  # a killed run does not settle: the next one does
        again = folder(tmp_path, "never")
        again.open(CONFIG, [])
        assert not run.metrics.exists()
        if not killed:
            again.settle()
            assert run.metrics.read_text() == "good" and run.checkpoint.exists()
    with pytest.raises(UserError, match="finished run"):
        folder(tmp_path).open(CONFIG, [])
    assert run.metrics.read_text() == "good"
    again.open(CONFIG, [])
    run.checkpoint.write_text("new")
    again.settle()
    assert run.checkpoint.read_text() == "new" and not run.metrics.exists()
    assert [path.name for path in run.path.parent.iterdir()] == [run.path.name]


def test_given_run_folder_stands_for_its_checkpoint(tmp_path: Path) -> None:
    run = unfinished(tmp_path / "elsewhere")
    assert folder(tmp_path, str(run.path)).plan(CONFIG) == run.checkpoint


def test_given_checkpoint_inside_the_run_folder_survives_the_start(tmp_path: Path) -> None:
    run = unfinished(tmp_path)
    assert folder(tmp_path, str(run.checkpoint)).open(CONFIG, []) == run.checkpoint
    assert run.checkpoint.exists()


def test_what_a_job_keeps_survives_and_the_rest_does_not(tmp_path: Path) -> None:
    run = lambda: RunFolder(str(tmp_path), "sample", "a dog", 0, state="manifest.json")
    assert run().open(CONFIG, []) is None
    (run().path / "half.png").touch()
    assert run().open(CONFIG, []) is None and not (run().path / "half.png").exists()
    run().checkpoint.touch()
    (run().path / "whole.png").touch()
    assert run().open(CONFIG, []) == run().checkpoint and (run().path / "whole.png").exists()
    with pytest.raises(UserError, match="steps was 6, is 9"):
        run().plan(OmegaConf.merge(CONFIG, {"steps": 9}))


def test_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="resume=nowhere is not a checkpoint"):
        folder(tmp_path, "nowhere").plan(CONFIG)


@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_damaged_checkpoint_is_found(tmp_path: Path, damage: str) -> None:
    run = unfinished(tmp_path)
    content = bytearray(run.checkpoint.read_bytes())
    content[100] ^= 255
    run.checkpoint.write_bytes(content[:200] if damage == "truncated" else content)
    with pytest.raises(UserError, match="is damaged"):
        folder(tmp_path).plan(CONFIG)


def test_unwritable_output_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        folder(tmp_path / "file").check_writable()


@pytest.mark.parametrize("resume", ["never", "elsewhere"])
def test_job_that_slurm_starts_again_goes_on_whatever_it_was_told_at_first(
    resume: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "15")
    run = unfinished(tmp_path)
    again = folder(tmp_path, str(run.checkpoint) if resume == "elsewhere" else resume)
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert again.plan(CONFIG) == again.checkpoint
    monkeypatch.setenv("SLURM_JOB_ID", "16")  # who has made this run
    assert folder(tmp_path, "never").plan(CONFIG) is None


def test_checkpoint_from_elsewhere_does_not_overwrite_what_is_there(tmp_path: Path) -> None:
    other = unfinished(tmp_path / "other")
    run = unfinished(tmp_path)
    with pytest.raises(UserError, match=r"another configuration \(steps was 6, is 9\)"):
        folder(tmp_path, str(other.checkpoint)).plan(OmegaConf.merge(CONFIG, {"steps": 9}))
    run.metrics.write_text("{}")
    with pytest.raises(FinishedError, match="holds a finished run"):
        folder(tmp_path, str(other.path)).plan(CONFIG)


def test_the_only_checkpoint_that_is_whole_is_not_replaced_by_a_damaged_one(tmp_path: Path) -> None:
    run = unfinished(tmp_path)
    run.checkpoint.rename(run.previous)
    run.checkpoint.write_bytes(b"half")
    again = folder(tmp_path)
    assert again.open(CONFIG, []) == run.previous
    assert run.previous.exists() and not run.checkpoint.exists()
    assert "last.ckpt is damaged" in run.log.read_text()


def test_given_run_folder_stands_for_its_previous_checkpoint_too(tmp_path: Path) -> None:
    other = unfinished(tmp_path / "other")
    other.checkpoint.rename(other.previous)
    other.checkpoint.write_bytes(b"half")
    assert folder(tmp_path, str(other.path)).plan(CONFIG) == other.previous
