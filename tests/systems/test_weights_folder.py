"""system.out: where a training leaves its weights, which belongs to one run of a sweep, and to one process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from safetensors import SafetensorError

import launch
from systems.command.faults import fault
from tests.conftest import Run

PATHS = {
    "train_prior": ".training/train_prior{}-3",
    "train_prior_2d": ".training/train_prior_2d{}-3",
    "train_mvdream": ".training/train_mvdream{}-3",
    "train_clip": ".training/train_clip{}-3",
    "train_autoencoder": ".training/autoencoder{}-3",
    "train_autoencoder_gpu": ".training/autoencoder_gpu{}-3",
    "refine_autoencoder": ".training/mini{}-3",
}
RATES = "system.learning_rate=0.001,0.002"
SWEEP = ["experiment=train_prior", "--multirun"]


@pytest.fixture
def in_conf() -> Iterator[None]:
    with initialize_config_dir(str(launch.CONF), version_base="1.3"):
        yield


def out(experiment: str, variant: str) -> str:
    return compose("config", [f"experiment={experiment}", "seed=3", f"folder.variant={variant}"]).system.out


@pytest.mark.parametrize("experiment", PATHS)
def test_run_of_a_sweep_has_a_folder_of_its_own(in_conf: None, experiment: str) -> None:
    assert out(experiment, "null") == out(experiment, "''") == PATHS[experiment].format("")
    named = PATHS[experiment].format("/system.learning_rate=0.001")
    assert out(experiment, "'system.learning_rate=0.001'") == named


def test_name_stays_within_the_folder_and_leaves_out_what_the_experiment_says(in_conf: None) -> None:
    assert out("train_prior", "'prior.path=../a,seed=3'") == ".training/train_prior/prior.path=../a,seed=3-3"
    assert out("train_prior", "'a=b/../../../c'") == ".training/train_prior/a=b/up/up/up/c-3"
    assert out("train_prior", "'experiment=train_prior'") == ".training/train_prior-3"
    assert out("train_prior", "'a=1,experiment=train_prior,seed=2'") == ".training/train_prior/a=1,seed=2-3"


def test_sweep_of_trainings_is_accepted(run: Run) -> None:
    run.accepts(*SWEEP, RATES)
    run.accepts(*SWEEP, "seed=0,1")
    run.accepts("experiment=train_autoencoder,refine_autoencoder,train_prior_2d,train_prior", "--multirun")
    run.accepts("experiment=table1", "row=no_2d,proposed", "--multirun")


def test_two_runs_of_a_sweep_into_one_folder_are_refused(run: Run, tmp_path: Path) -> None:
    error = run.error(*SWEEP, RATES, f"system.out={tmp_path / 'mine'}")
    assert f"system.out={tmp_path / 'mine'}: " in error and "would both write their weights there" in error
    assert "learning_rate=0.001/run-0" in error and "learning_rate=0.002/run-0" in error
    assert "would both write" in run.error("experiment=table1", RATES, "row=no_2d,proposed", "--multirun")
    run.accepts(*SWEEP, RATES, f"system.out={tmp_path}/mine/${{folder.variant}}-${{seed}}")


def test_weights_within_those_of_another_run_are_refused(run: Run, tmp_path: Path) -> None:
    assert "would both write" in run.error(*SWEEP, f"system.out={tmp_path / 'mine'},{tmp_path / 'mine' / 'part'}")


@pytest.mark.parametrize("experiment", ["train_prior", "train_clip"])
def test_folder_that_holds_something_else_is_not_replaced(run: Run, tmp_path: Path, experiment: str) -> None:
    (tmp_path / "mine").mkdir()
    run.accepts(f"experiment={experiment}", f"system.out={tmp_path / 'mine'}")
    (tmp_path / "mine" / "thesis.tex").touch()
    error = run.error(f"experiment={experiment}", f"system.out={tmp_path / 'mine'}")
    assert "mine holds thesis.tex, which is none of what this training writes and replaces: name another" in error
    error = run.error(f"experiment={experiment}", f"system.out={tmp_path / 'mine' / 'thesis.tex'}")
    assert "is no folder that a training can replace" in error


def test_shipped_weights_can_be_replaced(run: Run) -> None:
    run.accepts("experiment=train_prior", "system.out=assets/mini")
    run.accepts("experiment=train_clip", "system.out=assets/mini_clip")


def test_second_process_is_refused_before_its_run_folder_is_touched(run: Run, tmp_path: Path) -> None:
    program = "import sys, pathlib; from systems.command.claim import claimed\n"
    program += "with claimed(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", program, str(tmp_path / "mine")]
    first = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert first.stdout and first.stdout.readline() == "held\n"
    error = run.error("experiment=train_prior", f"system.out={tmp_path / 'mine'}")
    assert f"in use by process {first.pid}" in error and "say system.out=another" in error
    assert list((tmp_path / "outputs").rglob("config.yaml")) == []
    first.communicate()


def test_place_that_cannot_be_written_is_named(run: Run) -> None:
    assert "/dev/null/mine cannot be written" in run.error("experiment=train_prior", "system.out=/dev/null/mine")


def test_full_disk_under_weights_is_no_bug(tmp_path: Path) -> None:
    said = fault(SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"), tmp_path)
    assert said and said.startswith("a file cannot be written: the disk is full (Error while serializing")
