"""What ends a process that has no training to save."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from systems.command import signals
from systems.command.ending import ending
from systems.command.run_folder import Interrupted
from systems.command.signals import GivenWay, listening

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in signals.STOP + signals.GIVE_WAY:
        signal.signal(number, signal.SIG_DFL)
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)


def scontrol(folder: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> Path:
    """A command of that name, which notes what it is told."""
    note = folder / "told"
    (folder / "scontrol").write_text(f'#!/bin/sh\necho "$@" >> {note}\necho no such job >&2\nexit {code}\n')
    (folder / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "15")
    monkeypatch.setattr(signals, "PAUSE", 0.0)
    return note


@pytest.mark.parametrize("number", signals.STOP + signals.GIVE_WAY)
def test_each_stops_as_ctrl_c_does_while_somebody_listens(number: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt), listening():
        signal.raise_signal(number)
    assert signal.getsignal(number) is signal.SIG_DFL


def test_who_listens_already_and_who_does_not_want_to_hear_are_left_alone() -> None:
    heard: list[int] = []
    signal.signal(signal.SIGUSR2, lambda number, frame: heard.append(number))
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with listening():
        signal.raise_signal(signal.SIGUSR2)
        signal.raise_signal(signal.SIGHUP)
    assert heard == [signal.SIGUSR2]


def test_job_of_slurm_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    note = scontrol(tmp_path, monkeypatch, code=0)
    with pytest.raises(GivenWay), listening():
        signal.raise_signal(signal.SIGUSR1)
    assert note.read_text() == "requeue 15\n"


def test_slurm_is_asked_more_than_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its controller may be starting anew."""
    note = scontrol(tmp_path, monkeypatch, code=1)
    assert signals.requeue() == "no such job"
    assert note.read_text() == "requeue 15\n" * 3


@pytest.mark.parametrize(("stop", "state"), [(GivenWay, "requeued"), (KeyboardInterrupt, "interrupted")])
def test_status_says_whether_it_is_started_again(stop: type[BaseException], state: str, tmp_path: Path) -> None:
    try:
        try:
            raise stop
        except KeyboardInterrupt:
            raise Interrupted("0 of 2 samples are kept.") from None
    except Interrupted as error:
        end = ending(error, tmp_path)
    assert (end.state, end.code) == (state, 130)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_command_that_is_stopped_while_it_begins_says_so(number: signal.Signals, tmp_path: Path) -> None:
    program = f"import os, launch\nlaunch._main = lambda: os.kill(os.getpid(), {int(number)})\n"
    program += "raise SystemExit(launch.main())"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "Interrupted.\n", "")
