"""A sweep on a real SLURM, in which everything happens that can: what the table says at the end, and what is lost."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from systems.command.status import read_status
from tests.faulty import SMALL, STEPS
from tests.slurm_cluster import Cluster, cluster  # noqa: F401  # a fixture

ROOT = Path(__file__).resolve().parents[1]
AT = 4  # the step in which something happens
PROMPT = "prompt=a red dog"
SLURM = ["launcher=slurm", "launcher.cpus=1", "launcher.memory_gb=2", "launcher.minutes=60", "launcher.poll=0.5"]
SLURM += ["launcher.parallel=2"]  # so that some wait while others run
RAISED, KILLED, PREEMPTED = "guidance=sds/a-red-dog-1", "guidance=sds/a-red-dog-2", "guidance=sds/a-red-dog-3"
FAULTS = {RAISED: ["mistake", AT], KILLED: ["kill", AT], PREEMPTED: ["wait_for_signal", AT]}
RUNS = [f"guidance={guidance}/a-red-dog-{seed}" for guidance in ("mv_sds", "sds") for seed in range(4)]
FILES = ("config.yaml", "command.txt", "run.log", "metrics.csv", "metrics.json", "status.json", "views.png")
FILES += ("turntable.mp4", "mesh.glb", "index.html", "checkpoints/last.ckpt")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "launch.py", *arguments]


def environment(cluster: Cluster, **more: str) -> dict[str, str]:  # noqa: F811
    return cluster.env | {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"} | more


@dataclass
class Sweep:
    """Eight runs, two guidances by four seeds, on the cluster."""

    cluster: Cluster
    output: Path
    log: Path

    @property
    def folder(self) -> Path:
        return self.output / "text_to_3d"

    def start(self) -> subprocess.Popen[bytes]:
        arguments = [PROMPT, f"output={self.output}", "guidance=mv_sds,sds", "seed=0,1,2,3", *SMALL, *SLURM]
        with self.log.open("w") as log:
            return subprocess.Popen(
                command(*arguments), cwd=ROOT, env=environment(self.cluster, FAULTS=json.dumps(FAULTS)), stdout=log,
                stderr=subprocess.STDOUT,
            )  # fmt: skip

    def wait_until(self, holds: Callable[[], bool], what: str) -> None:
        self.cluster.wait_until(holds, f"{what}; the sweep says: {self.log.read_text()}", seconds=300.0)

    def collect(self) -> dict[str, dict[str, str]]:
        """What the table says of each run."""
        arguments = ["experiment=collect", f"sweep={self.folder}", f"output={self.output}"]
        done = subprocess.run(command(*arguments), cwd=ROOT, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        self.page = Path(done.stdout.splitlines()[-1])
        rows = csv.DictReader((self.page / "runs.csv").open())
        return {row["folder"]: row for row in rows}

    def state(self, run: str) -> dict[str, torch.Tensor]:
        return torch.load(self.folder / run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


@pytest.fixture(scope="module")
def disturbed(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sweep]:  # noqa: F811
    """The sweep, once it is over, and everything has happened to it."""
    place = tmp_path_factory.mktemp("sweep")
    sweep = Sweep(cluster, place / "outputs", place / "sweep.log")
    process = sweep.start()
    try:
        sweep.wait_until(lambda: (sweep.folder / RUNS[0] / "status.json").exists(), "a run has started")
        assert {row["state"] for row in sweep.collect().values()} >= {"waiting"}  # while the sweep is going on
        cluster.stop_controller()
        sweep.wait_until(lambda: "squeue does not answer" in sweep.log.read_text(), "the silence is told")
        cluster.start_controller()
        cluster.drain("n1")
        sweep.wait_until(lambda: (sweep.folder / f"guidance=sds/.{PREEMPTED[13:]}.fault").exists(), "one waits")
        cluster.resume("n1")
        preempt(sweep)
        assert process.wait(timeout=400) == 1
    finally:
        process.kill()
    yield sweep


def preempt(sweep: Sweep) -> None:
    """By the signal that SLURM sends. scancel goes on sending to a job that starts again, so it is stopped."""
    status = read_status(sweep.folder / PREEMPTED)
    telling = subprocess.Popen(["scancel", "--signal=USR2", status.job], env=sweep.cluster.env)
    sweep.wait_until(lambda: read_status(sweep.folder / PREEMPTED).state != "running", "it has saved")
    telling.kill()
    telling.wait()


def test_table_says_what_happened_to_each_run(disturbed: Sweep) -> None:
    said = disturbed.collect()
    assert sorted(said) == RUNS
    states = {run: row["state"] for run, row in said.items()}
    assert states == dict.fromkeys(RUNS, "finished") | {RAISED: "failed", KILLED: "killed"}
    assert "a mistake in the program" in said[RAISED]["reason"]
    assert [said[run]["step"] for run in (RAISED, KILLED, PREEMPTED)] == [str(AT - 1), str(AT - 1), str(STEPS)]
    happened = (disturbed.page / "happened.md").read_text()
    line = next(line for line in happened.splitlines() if PREEMPTED in line)
    assert f"resumed at step {AT}" in line
    assert happened.count("resumed at step") == 1
    page = (disturbed.page / "index.html").read_text()
    assert page.count("<video") == 6 and "a mistake in the program" in page


def test_sweep_tells_as_it_goes_and_nothing_waits_for_ever(disturbed: Sweep) -> None:
    said = disturbed.log.read_text()
    assert "8 runs are submitted to SLURM as job" in said
    assert "squeue answers again" in said
    assert f"{KILLED} has left the queue without a result" in said or f"{KILLED} failed" in said
    last = said.splitlines()[-1]
    assert last.startswith("6 of 8 runs are finished; ") and f"{KILLED} was killed" in last
    assert f"{RAISED} failed: RuntimeError: a mistake in the program" in last


def test_finished_runs_have_all_that_a_run_writes(disturbed: Sweep) -> None:
    for run in (run for run in RUNS if run not in (RAISED, KILLED)):
        assert [name for name in FILES if not (disturbed.folder / run / name).exists()] == []


def test_preempted_run_ends_with_the_parameters_of_an_undisturbed_one(disturbed: Sweep, tmp_path: Path) -> None:
    assert read_status(disturbed.folder / PREEMPTED).starts == (0, AT)
    alone = command(PROMPT, f"output={tmp_path}", "guidance=sds", "seed=3", *SMALL)
    subprocess.run(alone, cwd=ROOT, env=environment(disturbed.cluster), check=True, capture_output=True, timeout=300)
    whole = torch.load(tmp_path / "text_to_3d/a-red-dog-3/checkpoints/last.ckpt", weights_only=True)["state_dict"]
    resumed = disturbed.state(PREEMPTED)
    assert whole.keys() == resumed.keys() and all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_same_sweep_again_makes_what_is_missing(disturbed: Sweep) -> None:
    before = {run: os.stat(disturbed.folder / run / "metrics.json").st_mtime for run in RUNS if run not in FAULTS}
    assert disturbed.start().wait(timeout=400) == 0
    assert disturbed.log.read_text().splitlines()[-1] == "8 of 8 runs are finished"
    said = disturbed.collect()
    assert {row["state"] for row in said.values()} == {"finished"}
    assert read_status(disturbed.folder / KILLED).starts == (0, AT - 1)
    assert before == {run: os.stat(disturbed.folder / run / "metrics.json").st_mtime for run in before}
