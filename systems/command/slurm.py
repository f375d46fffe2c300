"""launcher=slurm: the runs of a sweep as tasks of one job array, by submitit, which starts a run again that met its
time limit or gave way to another."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import shutil
import sys
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from data.errors import UserError
from data.ranges import NonNegativeInt, PositiveFloat, PositiveInt
from systems.command.jobs import Job
from systems.command.squeue import Squeue
from systems.command.watch import Task, watch

if TYPE_CHECKING:
    from submitit import SlurmJob
    from submitit.helpers import DelayedSubmission

ROOT = Path(__file__).resolve().parents[2]
NEEDED = ("sbatch", "srun", "squeue")


class Slurm:
    """minutes: the time limit of a run. parallel: runs at a time. setup: lines of shell before each run. requeues: how
    often a run may meet its limit; each time it goes on where it was. signal_before: seconds before the limit, when it
    is told to save. poll: seconds between two looks at the queue. dry_run: only show the script.
    """

    def __init__(
        self,
        partition: str | None = None,
        account: str | None = None,
        qos: str | None = None,
        constraint: str | None = None,
        gpus: NonNegativeInt = 0,
        cpus: PositiveInt = 2,
        memory_gb: PositiveFloat | None = 8.0,
        minutes: PositiveInt = 240,
        parallel: PositiveInt = 32,
        setup: Sequence[str] = (),
        requeues: NonNegativeInt = 3,
        signal_before: PositiveInt = 90,
        poll: PositiveFloat = 10.0,
        dry_run: bool = False,
    ) -> None:
        self.places = {"partition": partition, "account": account, "qos": qos, "constraint": constraint}
        self.gpus, self.cpus, self.memory_gb = gpus, cpus, memory_gb
        self.minutes, self.parallel, self.setup = minutes, parallel, list(setup)
        self.requeues, self.signal_before = requeues, signal_before
        self.poll, self.dry_run = poll, dry_run

    def check(self) -> None:
        if self.signal_before >= 60 * self.minutes:
            raise UserError(
                f"launcher.signal_before={self.signal_before} is in seconds, and must be less than the time limit of a"
                f" run, launcher.minutes={self.minutes}"
            )
        missing = [name for name in NEEDED if shutil.which(name) is None]
        if missing and not self.dry_run:
            raise UserError(
                f"launcher=slurm: there is no {missing[0]} on this machine; say it where jobs are submitted,"
                " launcher.dry_run=true to see the script, or launcher=joblib to run here"
            )

    def launch(self, jobs: Iterable[Job], folder: Path) -> None:
        runs = list(jobs)
        if self.dry_run:
            print(self.script(len(runs), folder), flush=True)
        elif runs:
            submitted = self._submit(runs, folder)
            tasks = [
                Task(job.job_id, run.name, job.paths.result_pickle, job.paths.stderr)
                for job, run in zip(submitted, runs, strict=True)
            ]
            watch(tasks, Squeue(), self.poll, folder)

    def script(self, n: int, folder: Path) -> str:
        """What sbatch is given, as submitit writes it."""
        from submitit.slurm.slurm import _make_sbatch_string

        place = _place(folder)
        command = f"{shlex.quote(sys.executable)} -u -m submitit.core._submit {shlex.quote(str(place))}"
        return _make_sbatch_string(command, place, map_count=n if n > 1 else None, **self._parameters())

    def _parameters(self) -> dict[str, object]:
        """In submitit's words."""
        memory = None if self.memory_gb is None else f"{round(1024 * self.memory_gb)}MB"
        return {
            **self.places,
            "job_name": "fourview",
            "gpus_per_node": self.gpus or None,
            "cpus_per_task": self.cpus,
            "mem": memory,
            "time": self.minutes,
            "signal_delay_s": self.signal_before,
            "array_parallelism": self.parallel,
            "setup": [*self.setup, f"export PYTHONPATH={shlex.quote(str(ROOT))}${{PYTHONPATH:+:$PYTHONPATH}}"],
            "wckey": None,
            "additional_parameters": {"requeue": True},
        }

    def _submit(self, runs: Sequence[Job], folder: Path) -> Sequence[SlurmJob[int]]:
        from submitit import SlurmExecutor
        from submitit.core.utils import FailedJobError, FailedSubmissionError

        place = _place(folder)
        place.parent.mkdir(parents=True)
        executor = SlurmExecutor(place, max_num_timeout=self.requeues)
        executor.update_parameters(**self._parameters())
        try:
            with contextlib.redirect_stderr(io.StringIO()):  # submitit would print what is told below
                return executor.submit_array([Resumable(run) for run in runs])
        except (FailedJobError, FailedSubmissionError) as error:
            shutil.rmtree(place.parent)
            raise UserError(f"launcher=slurm: sbatch refuses the job: {_bare(str(error))}") from None


class Resumable:
    """A run as submitit takes it. The same once more goes on from the last checkpoint."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def __call__(self) -> int:
        return self.job.run_elsewhere()

    def checkpoint(self) -> DelayedSubmission:
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def _place(folder: Path) -> Path:
    """Of what submitit writes: `%j` becomes the number of the job. New each time, since what a task leaves there is
    unpickled, and the folder may have come with a file of that name."""
    return folder.absolute() / ".submitit" / uuid.uuid4().hex / "%j"


def _bare(words: str) -> str:
    return "; ".join(
        re.sub(r"^sbatch: (error: )?", "", line).rstrip(".") for line in words.splitlines() if line.strip()
    )
