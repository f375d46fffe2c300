"""What a time limit or a preemption says to a training, and what becomes of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest
import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from systems.checkpoint import Checkpoint
from systems.command import status
from systems.command.ending import ending
from systems.command.run_folder import Interrupted, Requeued, RunFolder
from systems.command.status import read_status
from systems.fit import Fit
from systems.text_to_3d import TextTo3D

Make = Callable[..., TextTo3D]
MakeTrainer = Callable[..., Trainer]
REQUEUE = [signal.SIGUSR1, signal.SIGUSR2]


class SignalAt(Callback):
    def __init__(self, step: int, number: signal.Signals) -> None:
        self.step, self.number = step, number

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int) -> None:
        if trainer.global_step == self.step - 1:
            signal.raise_signal(self.number)


def starter(number: int, frame: FrameType | None) -> None:
    """As submitit's: requeues, and ends the process."""
    raise SystemExit(f"requeued for {signal.Signals(number).name}")


def saved_step(folder: Path) -> int:
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["global_step"]


def scontrol(folder: Path, monkeypatch: pytest.MonkeyPatch, code: int = 0) -> Path:
    """A command of that name, which notes what it is told."""
    note = folder / "told"
    (folder / "bin").mkdir()
    (folder / "bin" / "scontrol").write_text(f'#!/bin/sh\necho "$@" > {note}\nexit {code}\n')
    (folder / "bin" / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "15")
    return note


@pytest.fixture(autouse=True)
def outside_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in REQUEUE:
        signal.signal(number, signal.SIG_DFL)
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize("number", REQUEUE)
def test_who_started_the_process_starts_it_again_once_it_is_saved(
    make_system: Make, make_trainer: MakeTrainer, tmp_path: Path, number: signal.Signals
) -> None:
    signal.signal(number, starter)
    with pytest.raises(SystemExit, match=f"requeued for {number.name}"):
        make_trainer(Checkpoint(), SignalAt(3, number)).fit(make_system())
    assert saved_step(tmp_path) == 3 and read_status(tmp_path).step == 3


@pytest.mark.parametrize("number", REQUEUE)
def test_slurm_starts_a_job_again_that_nobody_else_looks_after(
    make_system: Make,
    make_trainer: MakeTrainer,
    tmp_path: Path,
    number: signal.Signals,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    note = scontrol(tmp_path, monkeypatch)
    with pytest.raises(Requeued):
        make_trainer(Checkpoint(), SignalAt(3, number)).fit(make_system())
    assert saved_step(tmp_path) == 3 and note.read_text() == "requeue 15\n"
    signal.signal(number, signal.SIG_DFL)
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "12")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    with pytest.raises(Requeued):
        make_trainer(Checkpoint(), SignalAt(3, number)).fit(make_system())
    assert note.read_text() == "requeue 12_3\n"


def test_where_slurm_refuses_the_run_is_saved_and_says_how_to_go_on(
    make_system: Make, make_trainer: MakeTrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scontrol(tmp_path, monkeypatch, code=1)
    with pytest.raises(Interrupted, match=r"Saved after step 3 of 6\. Continue with:\npython launch.py") as stop:
        make_trainer(Checkpoint(), SignalAt(3, signal.SIGUSR1)).fit(make_system())
    assert saved_step(tmp_path) == 3 and not isinstance(stop.value, Requeued)


def test_slurm_that_takes_the_machine_lets_a_run_save_and_wait_for_its_end(
    make_system: Make, make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    """SIGTERM comes before a preempted job is killed and started again: who stops by itself has ended instead."""
    saved: list[int] = []

    class Look(Callback):
        def on_train_batch_start(self, trainer: Trainer, *_: object) -> None:
            if (tmp_path / "checkpoints" / "last.ckpt").exists():
                saved.append(saved_step(tmp_path))

    signal.signal(signal.SIGUSR2, starter)
    make_trainer(Checkpoint(every_seconds=1000.0), SignalAt(3, signal.SIGTERM), Look()).fit(make_system())
    assert saved == [3, 3, 3] and saved_step(tmp_path) == 6


def test_while_the_report_is_made_nothing_waits_for_a_step(
    make_system: Make, make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    class Reporting(Callback):
        def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            signal.raise_signal(signal.SIGUSR2)
            pytest.fail("the report went on")

    signal.signal(signal.SIGUSR2, starter)
    with pytest.raises(SystemExit, match="requeued"):
        make_trainer(Checkpoint(), Reporting()).fit(make_system())
    assert saved_step(tmp_path) == 6


def test_last_two_checkpoints_are_kept(make_system: Make, make_trainer: MakeTrainer, tmp_path: Path) -> None:
    make_trainer(Checkpoint(every_seconds=1e-9)).fit(make_system())
    steps = {
        file.name: torch.load(file, weights_only=True)["global_step"] for file in (tmp_path / "checkpoints").iterdir()
    }
    assert steps == {"last.ckpt": 6, "previous.ckpt": 5}


def test_a_run_says_at_which_steps_it_was_started(
    make_system: Make, make_trainer_in: MakeTrainer, tmp_path: Path
) -> None:
    folder = RunFolder(str(tmp_path), "run", "red", 0)
    folder.path.mkdir(parents=True)
    with pytest.raises(Interrupted):
        fit = Fit(
            make_system(), lambda **_: make_trainer_in(folder.path, Checkpoint(), SignalAt(2, signal.SIGINT)), "cpu"
        )
        fit.run(folder, None)
    again = Fit(make_system(), lambda **_: make_trainer_in(folder.path, Checkpoint()), "cpu")
    again.run(folder, folder.checkpoint)
    found = read_status(folder.path)
    assert (found.starts, found.step, found.steps) == ((0, 2), 6, 6)


@pytest.mark.parametrize(
    ("error", "state", "code"),
    [
        (None, status.FINISHED, 0),
        (Interrupted("Interrupted at once. Continue with:\npython launch.py"), status.INTERRUPTED, 130),
        (KeyboardInterrupt(), status.INTERRUPTED, 130),
        (Requeued("SLURM starts this job again."), status.REQUEUED, 130),
        (SystemExit(-1), status.REQUEUED, 130),
        (ValueError("x"), status.FAILED, 1),
    ],
)
def test_each_way_to_end_has_its_state_and_code(
    error: BaseException | None, state: str, code: int, tmp_path: Path
) -> None:
    end = ending(error, tmp_path)
    assert (end.state, end.code, end.is_bug) == (state, code, isinstance(error, ValueError))
