"""launcher=: what it is told, what it makes of that, and what it says of runs that end without a word."""

from __future__ import annotations

import json
import os
import pickle
import sys
from pathlib import Path

import pytest

import launch
from data.errors import UserError
from systems.command import status
from systems.command.command_line import tidy
from systems.command.slurm import Slurm
from systems.command.squeue import Squeue
from systems.command.sweep import Asked, SweptRun, read_sweep, tell
from systems.command.watch import Task, Watch, watch
from tests.conftest import Run

PROMPT = "prompt=a red dog"
SLURM = "launcher=slurm"
DRY = "launcher.dry_run=true"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["launcher=slrum"], "launcher=slrum: there is no such option; did you mean slurm?"),
        (["launcher=slurm,joblib"], "launcher=slurm,joblib: a sweep has one launcher"),
        (["launcher=joblib", "launcher.jobs=0"], "launcher.jobs=0 must be a whole number above 0"),
        (["launcher=joblib", "launcher.jobs=1,2"], "launcher.jobs=1,2: a sweep has one launcher"),
        ([SLURM, DRY, "launcher.partiton=gpu"], "launcher.partiton; did you mean launcher.partition?"),
        ([SLURM, DRY, "launcher.gpus=-1"], "launcher.gpus=-1 must be a whole number, 0 or above"),
        ([SLURM, DRY, "launcher.minutes=soon"], "launcher.minutes=soon must be a whole number above 0"),
        ([SLURM, DRY, "launcher.setup=module"], "launcher.setup=module must be a list"),
        ([SLURM, DRY, "launcher.minutes=1"], "launcher.signal_before=90 is in seconds, and must be less than"),
    ],
)
def test_wrong_choice_is_explained(run: Run, overrides: list[str], message: str) -> None:
    assert message in run.error(PROMPT, *overrides)


def test_without_slurm_it_is_refused_before_anything_starts(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "there is no sbatch on this machine; say it where jobs are submitted" in run.error(PROMPT, SLURM)
    assert not (tmp_path / "outputs" / "text_to_3d" / "sweep.json").exists()


@pytest.mark.parametrize("name", ["local", "joblib", "slurm", "slurm_array_preemptible"])
def test_every_launcher_passes_the_check(run: Run, name: str) -> None:
    run.accepts(PROMPT, f"launcher={name}", *[DRY] * name.startswith("slurm"))


def test_a_launcher_launches_a_sweep() -> None:
    assert tidy([SLURM, PROMPT])[-1] == "--multirun"
    assert tidy(["launcher=local", PROMPT])[-1] != "--multirun"
    assert tidy([SLURM, PROMPT, "--cfg", "job"])[-2:] == ["--cfg", "job"]
    assert tidy([SLURM, PROMPT, "-m"]).count("--multirun") == 0


@pytest.mark.parametrize(
    ("knob", "line"),
    [
        ({"partition": "gpu"}, "#SBATCH --partition=gpu"),
        ({"account": "lab"}, "#SBATCH --account=lab"),
        ({"qos": "low"}, "#SBATCH --qos=low"),
        ({"constraint": "a100|h100"}, "#SBATCH --constraint='a100|h100'"),
        ({"gpus": 2}, "#SBATCH --gpus-per-node=2"),
        ({"cpus": 6}, "#SBATCH --cpus-per-task=6"),
        ({"memory_gb": 1.5}, "#SBATCH --mem=1536MB"),
        ({"minutes": 30}, "#SBATCH --time=30"),
        ({"parallel": 2}, "#SBATCH --array=0-4%2"),
        ({"setup": ["module load cuda"]}, "module load cuda"),
        ({"signal_before": 45}, "#SBATCH --signal=USR2@45"),
        ({}, "#SBATCH --requeue"),
    ],
)
def test_every_knob_is_in_the_script(knob: dict, line: str, tmp_path: Path) -> None:
    assert line in Slurm(**knob).script(5, tmp_path).splitlines()


def test_what_is_not_said_is_left_to_the_cluster(tmp_path: Path) -> None:
    script = Slurm(memory_gb=None).script(1, tmp_path)
    assert not any(
        f"--{word}" in script for word in ("partition", "account", "qos", "constraint", "gpus", "mem", "array")
    )


def test_dry_run_prints_the_script_and_leaves_no_trace(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "none").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "none"))  # as on a machine without SLURM
    monkeypatch.setattr(sys, "argv", ["launch.py", *run.overrides, PROMPT, SLURM, DRY, "seed=0,1", "launcher.gpus=3"])
    assert launch.main() == 0
    printed = run.capsys.readouterr().out
    assert "#SBATCH --array=0-1%2" in printed and "#SBATCH --gpus-per-node=3" in printed
    assert not list(tmp_path.rglob("sweep.json")) and not list(tmp_path.rglob(".submitit"))
    assert not list(tmp_path.rglob("a-red-dog-*"))


def test_sweep_json_holds_what_was_asked_in_all_sweeps(run: Run, tmp_path: Path) -> None:
    run.accepts(PROMPT, "--multirun", "seed=0,1", "guidance=sds")
    run.accepts(PROMPT, "--multirun", "seed=1", "guidance=sds,mv_sds")
    folder = tmp_path / "outputs" / "text_to_3d"
    runs = read_sweep(folder)
    assert [one.folder for one in runs] == [
        "a-red-dog-0",
        "a-red-dog-1",
        "guidance=sds/a-red-dog-1",
        "guidance=mv_sds/a-red-dog-1",
    ]
    assert (runs[2].prompt, runs[2].seed, runs[2].variant) == ("a red dog", 1, "guidance=sds")
    assert {"seed=1", "guidance=sds"} < set(runs[2].overrides)
    assert not any(text.startswith(("hydra", "folder", "launcher")) for text in runs[2].overrides)


def test_a_single_run_is_no_sweep(run: Run, tmp_path: Path) -> None:
    run.accepts(PROMPT)
    with pytest.raises(UserError, match="holds no sweep"):
        read_sweep(tmp_path / "outputs" / "text_to_3d")


def test_sweep_json_that_is_damaged_is_named(tmp_path: Path) -> None:
    (tmp_path / "sweep.json").write_text('{"runs": [{"fol')
    with pytest.raises(UserError, match=r"sweep.json cannot be read"):
        read_sweep(tmp_path)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"folder": folder} for folder in (5, "", ".", "/etc", "../other", "a/../../b", "a\0b", "\x1b[2J", "\ud800")),
        *({"prompt": prompt} for prompt in ([1], 5, "\ud800", "\x1b")),
        *({"variant": {}}, {"variant": "a\nb"}, {"seed": "x"}, {"overrides": "x"}, {"overrides": [1]}),
    ],
)
def test_sweep_json_that_is_not_what_a_sweep_writes_is_refused(tmp_path: Path, wrong: dict[str, object]) -> None:
    right = {"folder": "a-0", "prompt": "a", "seed": 0, "variant": "", "overrides": []}
    (tmp_path / "sweep.json").write_text(json.dumps({"runs": [right]}))
    assert read_sweep(tmp_path) == [SweptRun("a-0", "a", 0, "", ())]
    (tmp_path / "sweep.json").write_text(json.dumps({"runs": [right, right | wrong]}))
    with pytest.raises(UserError, match=r"sweep.json cannot be read"):
        read_sweep(tmp_path)


def test_results_are_looked_for_where_nothing_was_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are unpickled, and the numbers of jobs can be guessed."""
    made = []

    class Executor:
        def __init__(self, folder: Path, **settings: object) -> None:
            made.append(folder)
            assert list(folder.parent.iterdir()) == []

        def update_parameters(self, **settings: object) -> None: ...

        def submit_array(self, runs: object) -> list[object]:
            return []

    monkeypatch.setattr("submitit.SlurmExecutor", Executor)
    for _ in range(2):
        Slurm()._submit([], tmp_path)
    assert made[0] != made[1] and {place.parents[1] for place in made} == {tmp_path / ".submitit"}


def test_the_end_tells_which_runs_are_not_finished_and_the_worst_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [
        Asked(tmp_path, SweptRun(name, "a dog", 0, "", ()))
        for name in ("done", "old", "bad", "killed", "never", "lost")
    ]
    for name in ("done", "bad", "killed", "lost"):
        status.begin(tmp_path / name)
    for name in ("done", "lost"):
        status.end(tmp_path / name, status.FINISHED)
    (tmp_path / "done" / "metrics.json").touch()
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "metrics.json").touch()  # of a version that left no status
    status.end(tmp_path / "bad", status.FAILED, 2, "device=cuda: \x1b[2Jthere\nis none")
    assert tell(runs) == 2
    line = "2 of 6 runs are finished; bad failed: device=cuda: there is none; killed was killed; never has not run; "
    line += "lost interrupted: its metrics.json is gone: the same sweep again writes it\n"
    assert capsys.readouterr().out == line
    assert tell(runs[:2]) == 0 and capsys.readouterr().out == "2 of 2 runs are finished\n"
    assert tell(runs[3:4]) == 1


class FakeSqueue:
    """An executable that lists what stands in a file, and fails where there is none."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "queue"
        script = folder / "squeue"
        script.write_text(
            f"#!/bin/sh\ncat {self.file} 2>/dev/null && exit\necho Unable to contact controller >&2; exit 1\n"
        )
        script.chmod(0o755)

    def lists(self, *ids: str) -> None:
        self.file.write_text("\n".join(ids) + "\n")

    def is_down(self) -> None:
        self.file.unlink(missing_ok=True)


@pytest.fixture
def squeue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSqueue:
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return FakeSqueue(tmp_path)


@pytest.fixture
def tasks(tmp_path: Path) -> list[Task]:
    return [Task(f"12_{n}", f"a-dog-{n}", tmp_path / f"12_{n}_result.pkl", tmp_path / f"{n}.err") for n in range(2)]


def test_a_task_that_left_the_queue_without_a_result_is_told_and_the_others_are_waited_for(
    squeue: FakeSqueue, tasks: list[Task], capsys: pytest.CaptureFixture[str]
) -> None:
    watch = Watch(tasks, Squeue())
    squeue.lists("12_1")
    watch.look()
    assert capsys.readouterr().err == ""  # it may have been between two states
    watch.look()
    assert capsys.readouterr().err.startswith("fourview: a-dog-0 has left the queue without a result")
    assert watch.waiting == tasks[1:]
    tasks[1].result.write_bytes(pickle.dumps(("success", 0)))
    watch.look()
    said = capsys.readouterr()
    assert said.out == "2 of 2 runs are over, 1 of them failed\n" and said.err == "" and not watch.waiting


def test_a_task_that_is_started_again_is_waited_for(squeue: FakeSqueue, tasks: list[Task]) -> None:
    watch = Watch(tasks, Squeue())
    for ids in (["12_1"], ["12_0", "12_1"]) * 3:
        squeue.lists(*ids)
        watch.look()
    assert watch.waiting == tasks


def test_a_controller_that_is_down_is_no_death_and_told_once(
    squeue: FakeSqueue, tasks: list[Task], capsys: pytest.CaptureFixture[str]
) -> None:
    watch = Watch(tasks, Squeue())
    squeue.is_down()
    for _ in range(4):
        watch.look()
    said = "squeue does not answer (Unable to contact controller); waiting until it does\n"
    assert watch.waiting == tasks and capsys.readouterr().out == said
    squeue.lists("12_0", "12_1")
    watch.look()
    assert watch.waiting == tasks and capsys.readouterr().out == "squeue answers again\n"


def test_failures_are_told_by_the_result(
    squeue: FakeSqueue, tasks: list[Task], capsys: pytest.CaptureFixture[str]
) -> None:
    squeue.lists()
    tasks[0].result.write_bytes(
        pickle.dumps(("error", "Traceback\n  ...\nUncompletedJobError: timed-out too many times"))
    )
    tasks[1].result.write_bytes(pickle.dumps(("success", 2)))
    Watch(tasks, Squeue()).look()
    first, second = capsys.readouterr().err.splitlines()
    assert "a-dog-0 failed: UncompletedJobError: timed-out too many times" in first
    assert "a-dog-1 ended with code 2" in second


def test_interrupted_launcher_says_that_the_jobs_go_on(
    tasks: list[Task], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Impatient(Squeue):
        def ids(self):
            raise KeyboardInterrupt

    with pytest.raises(SystemExit) as ended:
        watch(tasks, Impatient(), 1.0, tmp_path)
    said = capsys.readouterr().out
    assert ended.value.code == 130
    assert "scancel 12\n" in said and f"python launch.py experiment=collect sweep={tmp_path}" in said


def test_sweep_json_is_plain(run: Run, tmp_path: Path) -> None:
    run.accepts('prompt="a red dog","a green car"', "--multirun")
    runs = json.loads((tmp_path / "outputs" / "text_to_3d" / "sweep.json").read_text())["runs"]
    assert [one["folder"] for one in runs] == ["a-red-dog-0", "a-green-car-0"]
    assert runs[1]["overrides"][-1] == 'prompt="a green car"' and runs[1]["variant"] == ""
