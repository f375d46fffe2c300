"""Each fault that a run can meet, in a real one: what its user is told, and what is lost. The same command is given
again each time, and must end with the same bits as a run that nothing happened to."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from hydra.core.global_hydra import GlobalHydra

import launch
from systems.command.claim import claimed, is_held
from systems.command.status import read_status
from tests.faulty import FOLDER

ROOT = Path(__file__).resolve().parents[1]
NAME = "text_to_3d/a-red-dog-0"
STEPS, AT = 7, 5  # of the run; the step that something happens in, before it is saved
SMALL = [
    f"trainer.max_steps={STEPS}", "system.batch_size=4", "report.size=32", "report.n_frames=8", "quality=draft",
    "export.resolution=24", "export.texture_size=64", "checkpoint.every_seconds=0.0001", "background=solid",
    "geometry.encoding.log2_table_size=10",
    "trainer.callbacks=[${progress},{_target_:tests.faulty.Faulty},${checkpoint},${report}]",
]  # fmt: skip


DEADLY = ("kill", "damage")


@dataclass
class Said:
    code: int
    out: str
    error: str


def run(output: Path, fault: str | None = None) -> Said:
    """In this process, but for what would kill it."""
    plan = {NAME: [fault, AT]} if fault else {}
    environment = {"FAULTS": json.dumps(plan), FOLDER: str(output)}
    arguments = ["launch.py", "prompt=a red dog", f"output={output}", *SMALL]
    if fault in DEADLY:
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True)
        return Said(done.returncode, done.stdout, done.stderr)
    out, error = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(error):
        patch.setattr(sys, "argv", arguments)
        for name, value in environment.items():
            patch.setenv(name, value)
        GlobalHydra.instance().clear()
        try:
            code = launch.main()
        except SystemExit as end:
            code = end.code
    return Said(code, out.getvalue(), error.getvalue())


def state(output: Path) -> dict[str, torch.Tensor]:
    return torch.load(output / NAME / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    output = tmp_path_factory.mktemp("undisturbed")
    assert run(output).code == 0
    return state(output)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root can mount a disk that is small enough to fill")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def go_on(output: Path, undisturbed: dict[str, torch.Tensor], since: int) -> None:
    """The same command, in peace: resumes at step `since`, and ends as if nothing had happened."""
    again = run(output)
    assert again.code == 0, again.error
    status = read_status(output / NAME)
    assert (status.state, status.step, status.starts[-1]) == ("finished", STEPS, since)
    ended = state(output)
    assert ended.keys() == undisturbed.keys()
    assert all(torch.equal(ended[name], undisturbed[name]) for name in ended)
    rows = list(csv.DictReader((output / NAME / "metrics.csv").open()))
    assert [int(row["step"]) for row in rows] == list(range(STEPS))
    left = [file for file in output.rglob("*") if "draft" in file.name or file.name.endswith(".lock")]
    assert not left and not is_held(output / NAME)


@pytest.mark.parametrize(
    ("fault", "code", "told", "state", "since"),
    [
        (
            "interrupt",
            130,
            "Interrupted and saved after step 5 of 7. Continue with:\npython launch.py",
            "interrupted",
            5,
        ),
        (
            "terminate",
            130,
            "Interrupted and saved after step 5 of 7. Continue with:\npython launch.py",
            "interrupted",
            5,
        ),
        ("preempt", 130, "Saved after step 5 of 7. Continue with:\npython launch.py", "interrupted", 5),
        ("kill", -9, "", "running", 4),
        ("damage", -9, "", "running", 3),
        ("mistake", 1, "This is a bug in fourview", "failed", 4),
        ("memory", 1, "fourview: out of memory: this machine has too little for this run; say a smaller", "failed", 4),
    ],
)
def test_a_fault_costs_no_more_than_the_steps_since_the_last_checkpoint(
    fault: str, code: int, told: str, state: str, since: int, undisturbed: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    said = run(tmp_path, fault)
    assert said.code == code and told in said.out + said.error
    assert ("Traceback" in said.out + said.error) == (fault == "mistake")
    status = read_status(tmp_path / NAME)
    assert status.state == state and not is_held(tmp_path / NAME)
    assert not (tmp_path / NAME / "metrics.json").exists()
    go_on(tmp_path, undisturbed, since)
    log = (tmp_path / NAME / "run.log").read_text()
    assert ("last.ckpt is damaged (its table of contents): going on from previous.ckpt" in log) == (fault == "damage")


def test_weights_that_are_not_finite_are_not_saved(undisturbed: dict[str, torch.Tensor], tmp_path: Path) -> None:
    said = run(tmp_path, "not_finite")
    assert said.code == 1 and "is not finite after step" in said.error and "Traceback" not in said.error
    assert "Say lower system.learning_rates or guidance.scale" in said.error
    assert all(value.isfinite().all() for value in state(tmp_path).values() if value.is_floating_point())
    go_on(tmp_path, undisturbed, AT - 1)


def test_a_full_disk_is_told_and_the_last_checkpoint_stays(
    undisturbed: dict[str, torch.Tensor], small_disk: Path
) -> None:
    said = run(small_disk, "full_disk")
    assert said.code == 1 and "the disk is full" in said.error and "Free some space" in said.error
    assert "Traceback" not in said.error
    (small_disk / "filler").unlink()
    go_on(small_disk, undisturbed, AT - 1)


def test_a_disk_that_becomes_read_only_is_told(undisturbed: dict[str, torch.Tensor], small_disk: Path) -> None:
    said = run(small_disk, "read_only")
    assert said.code == 1 and "cannot be written (Read-only file system)" in said.error
    assert "Traceback" not in said.error
    again = run(small_disk)
    assert again.code == 2 and "cannot be written (Read-only file system): say output=FOLDER" in again.error
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    go_on(small_disk, undisturbed, AT - 1)


def test_a_folder_that_vanishes_is_told_and_not_made_again_by_halves(tmp_path: Path) -> None:
    said = run(tmp_path, "vanish")
    assert said.code == 1 and "has vanished: bring it back, or run the same command again" in said.error
    assert "Traceback" not in said.error and not (tmp_path / NAME).exists()


def test_checkpoints_that_are_all_damaged_are_kept_and_told(tmp_path: Path) -> None:
    run(tmp_path, "kill")
    folder = tmp_path / NAME / "checkpoints"
    for file in folder.iterdir():
        file.write_bytes(b"half")
    said = run(tmp_path)
    assert said.code == 2 and "is damaged" in said.error and "resume=never starts afresh" in said.error
    assert sorted(file.name for file in folder.iterdir()) == ["last.ckpt", "previous.ckpt"]


def test_a_finished_run_and_one_in_use_are_left_alone(tmp_path: Path) -> None:
    assert run(tmp_path).code == 0
    before = {file: file.read_bytes() for file in (tmp_path / NAME).rglob("*") if file.is_file()}
    assert run(tmp_path).code == 2
    (tmp_path / NAME / "metrics.json").unlink()
    with claimed(tmp_path / NAME):
        said = run(tmp_path)
    assert said.code == 2 and f"is in use by process {os.getpid()}" in said.error
    before = {file: content for file, content in before.items() if file.name != "metrics.json"}
    assert before == {file: file.read_bytes() for file in (tmp_path / NAME).rglob("*") if file.is_file()}
