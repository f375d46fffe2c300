"""launcher=joblib as a user runs it: real processes, runs that end well, fail, are killed and are stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from systems.command.status import Status, read_status
from systems.command.sweep import read_sweep

ROOT = Path(__file__).resolve().parents[1]
TINY = ["experiment=sample", "sampler.steps=1", "job.n_samples=1"]
LONG = ["quality=draft", "trainer.max_steps=100000"]


class Sweep:
    """A command line with launcher=joblib, in a world of its own: temporary folder, and a mark on all its processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.temp = folder / "temp"
        self.temp.mkdir()
        self.env = os.environ | {"TMPDIR": str(self.temp), "MARK": str(self.temp), "CUDA_VISIBLE_DEVICES": ""}

    def start(self, *overrides: str) -> subprocess.Popen[str]:
        told = ["launcher=joblib", "launcher.jobs=2", "prompt=a red dog", f"output={self.folder}", *overrides]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [sys.executable, "launch.py", *told], cwd=ROOT, env=self.env, stdout=pipe, stderr=pipe, text=True
        )

    def leaves(self) -> list[str]:
        """What is still there of it, beside its runs: processes by their command, and files."""
        return [*map(str, self.processes().values()), *map(str, self.temp.rglob("*"))]

    def processes(self) -> dict[int, str]:
        mark = f"MARK={self.temp}".encode()
        found = {}
        for process in Path("/proc").iterdir():
            if not process.name.isdecimal():
                continue
            try:
                if mark in (process / "environ").read_bytes().split(b"\0"):
                    found[int(process.name)] = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:  # it has just ended
                continue
        return found

    def status(self, name: str) -> Status:
        return read_status(self.folder / name) or Status(state="waiting")


@pytest.fixture
def sweep(tmp_path: Path) -> Iterator[Sweep]:
    sweep = Sweep(tmp_path)
    yield sweep
    for pid in sweep.processes():  # of a test that fails
        os.kill(pid, signal.SIGKILL)


def until(holds: Callable[[], bool], seconds: float = 200.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_run_that_fails_keeps_no_other_from_running_and_nothing_is_left_behind(sweep: Sweep) -> None:
    process = sweep.start(*TINY, "device=cpu,cuda", "seed=0,1")
    said, wrong = process.communicate(timeout=400)
    assert process.returncode == 2, wrong
    *_, last = said.splitlines()
    assert last.startswith("2 of 4 runs are finished; device=cuda/a-red-dog-0 failed: ") and "Traceback" not in wrong
    folder = sweep.folder / "sample"
    for run in read_sweep(folder):
        assert (folder / run.folder / "metrics.json").exists() == (run.variant == "device=cpu")
        assert sweep.status(f"sample/{run.folder}").code == (0 if run.variant == "device=cpu" else 2)
    assert sweep.leaves() == []

    again = sweep.start(*TINY, "device=cpu,cuda", "seed=0,1")
    assert again.communicate(timeout=400)[0].count("Skipped: ") == 2 and again.returncode == 2


def test_a_killed_run_takes_no_other_with_it_and_ctrl_c_stops_them_all(sweep: Sweep) -> None:
    process = sweep.start(*LONG, "seed=0,1,2")
    runs = [f"text_to_3d/a-red-dog-{seed}" for seed in range(3)]
    until(lambda: process.poll() is not None or all((sweep.status(run).steps or 0) > 0 for run in runs[:2]))
    os.kill(sweep.status(runs[0]).pid, signal.SIGKILL)
    until(lambda: process.poll() is not None or (sweep.status(runs[2]).steps or 0) > 0)  # in a process started for it
    assert sweep.status(runs[1]).state == "running" and len(set(sweep.status(run).pid for run in runs)) == 3
    process.send_signal(signal.SIGINT)
    said, wrong = process.communicate(timeout=200)
    assert process.returncode == 130, wrong
    assert "fourview: a-red-dog-0: its process was killed" in wrong and "Traceback" not in wrong
    assert "each run saves its state first" in said and "The same command goes on" in said.splitlines()[-1]
    for run in runs[1:]:
        assert sweep.status(run).state == "interrupted" and sweep.status(run).code == 130
        assert (sweep.folder / run / "checkpoints" / "last.ckpt").exists()
    assert sweep.leaves() == []


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a killed parent leaves its workers running")
def test_workers_do_not_outlive_a_launcher_that_is_killed(sweep: Sweep) -> None:
    process = sweep.start(*LONG, "seed=0,1")
    until(lambda: process.poll() is not None or (sweep.status("text_to_3d/a-red-dog-0").steps or 0) > 0)
    assert process.poll() is None
    process.kill()
    process.communicate()
    until(lambda: not sweep.processes(), 60.0)
