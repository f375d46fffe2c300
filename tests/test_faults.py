"""Each fault that a run can meet, in a real one: what its user is told, and what is lost. The same command is given
again each time, and must end with the same bits as a run that nothing happened to."""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from systems.command.claim import claimed, is_held
from systems.command.status import read_status
from tests.faulty import FOLDER, SMALL, STEPS, protect
from tests.many_launches import Launches, Said

NAME = "text_to_3d/a-red-dog-0"
AT = 5  # the step that something happens in, before it is saved


@pytest.fixture(scope="module")
def launches() -> Iterator[Launches]:
    found = Launches()
    yield found
    found.close()


class Run:
    """The same command each time, and what happens meanwhile."""

    def __init__(self, launches: Launches, output: Path) -> None:
        self.launches, self.output, self.folder = launches, output, output / NAME

    def __call__(self, fault: str | None = None) -> Said:
        plan = {NAME: [fault, AT]} if fault else {}
        arguments = ["prompt=a red dog", f"output={self.output}", *SMALL]
        return self.launches.launch(arguments, {"FAULTS": json.dumps(plan), FOLDER: str(self.output)})

    def state(self) -> dict[str, torch.Tensor]:
        return torch.load(self.folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


@pytest.fixture
def run(launches: Launches, tmp_path: Path) -> Run:
    return Run(launches, tmp_path)


@pytest.fixture(scope="module")
def undisturbed(launches: Launches, tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    run = Run(launches, tmp_path_factory.mktemp("undisturbed"))
    assert run().code == 0
    return run.state()


@pytest.fixture
def on_small_disk(launches: Launches, tmp_path: Path) -> Iterator[Run]:
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root can mount a disk that is small enough to fill")
    yield Run(launches, place)
    subprocess.run(["umount", "-l", str(place)], check=True)


def go_on(run: Run, undisturbed: dict[str, torch.Tensor], since: int) -> None:
    """The same command, in peace: resumes at step `since`, and ends as if nothing had happened."""
    again = run()
    assert again.code == 0, again.error
    status = read_status(run.folder)
    assert (status.state, status.step, status.starts[-1]) == ("finished", STEPS, since)
    ended = run.state()
    assert ended.keys() == undisturbed.keys()
    assert all(torch.equal(ended[name], undisturbed[name]) for name in ended)
    rows = list(csv.DictReader((run.folder / "metrics.csv").open()))
    assert [int(row["step"]) for row in rows] == list(range(STEPS))
    left = [file for file in run.output.rglob("*") if "draft" in file.name or file.name.endswith(".lock")]
    assert not left and not is_held(run.folder)


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
    fault: str, code: int, told: str, state: str, since: int, undisturbed: dict[str, torch.Tensor], run: Run
) -> None:
    said = run(fault)
    assert said.code == code and told in said.out + said.error
    assert ("Traceback" in said.out + said.error) == (fault == "mistake")
    status = read_status(run.folder)
    assert status.state == state and not is_held(run.folder)
    assert not (run.folder / "metrics.json").exists()
    go_on(run, undisturbed, since)
    log = (run.folder / "run.log").read_text()
    assert ("last.ckpt is damaged (its table of contents): going on from previous.ckpt" in log) == (fault == "damage")


def test_weights_that_are_not_finite_are_not_saved(undisturbed: dict[str, torch.Tensor], run: Run) -> None:
    said = run("not_finite")
    assert said.code == 1 and "is not finite after step" in said.error and "Traceback" not in said.error
    assert "Say lower system.learning_rates or guidance.scale" in said.error
    assert all(value.isfinite().all() for value in run.state().values() if value.is_floating_point())
    go_on(run, undisturbed, AT - 1)


def test_a_full_disk_is_told_and_the_last_checkpoint_stays(
    undisturbed: dict[str, torch.Tensor], on_small_disk: Run
) -> None:
    said = on_small_disk("full_disk")
    assert said.code == 1 and "the disk is full" in said.error and "Free some space" in said.error
    assert "Traceback" not in said.error
    (on_small_disk.output / "filler").unlink()
    go_on(on_small_disk, undisturbed, AT - 1)


def test_a_folder_that_becomes_read_only_is_told(undisturbed: dict[str, torch.Tensor], run: Run) -> None:
    if not (protect(run.output, True) and protect(run.output, False)):
        pytest.skip("this file system has no folders that root cannot write to")
    said = run("read_only")
    assert said.code == 1 and "cannot be written (" in said.error and f"make {run.folder} writable" in said.error
    assert "Traceback" not in said.out + said.error
    again = run()
    assert again.code == 2 and "cannot be written (" in again.error and "say output=FOLDER" in again.error
    protect(run.folder, False)
    go_on(run, undisturbed, AT - 1)


def test_a_folder_that_vanishes_is_told_and_not_made_again_by_halves(run: Run) -> None:
    said = run("vanish")
    assert said.code == 1 and "has vanished: bring it back, or run the same command again" in said.error
    assert "Traceback" not in said.error and not (run.folder).exists()


def test_checkpoints_that_are_all_damaged_are_kept_and_told(run: Run) -> None:
    run("kill")
    folder = run.folder / "checkpoints"
    for file in folder.iterdir():
        file.write_bytes(b"half")
    said = run()
    assert said.code == 2 and "is damaged" in said.error and "resume=never starts afresh" in said.error
    assert sorted(file.name for file in folder.iterdir()) == ["last.ckpt", "previous.ckpt"]


def test_a_finished_run_and_one_in_use_are_left_alone(run: Run) -> None:
    assert run().code == 0
    before = {file: file.read_bytes() for file in (run.folder).rglob("*") if file.is_file()}
    assert run().code == 2
    (run.folder / "metrics.json").unlink()
    with claimed(run.folder):
        said = run()
    assert said.code == 2 and "is in use by process" in said.error
    before = {file: content for file, content in before.items() if file.name != "metrics.json"}
    assert before == {file: file.read_bytes() for file in (run.folder).rglob("*") if file.is_file()}
