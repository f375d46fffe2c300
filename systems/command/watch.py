"""Waiting for the tasks of a job array, also for those that end without a word."""

from __future__ import annotations

import pickle
import shlex
import sys
import time
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from systems.command.ending import STOPPED, complain
from systems.command.squeue import Squeue

LOOKS = 2  # in which a task is not in the queue, and has left no result: then it is dead


@dataclass(frozen=True)
class Task:
    """id: `12_3` is the fourth of job 12. result: the file that it writes last."""

    id: str
    name: str
    result: Path
    log: Path


def watch(tasks: Sequence[Task], queue: Squeue, poll: float, folder: Path) -> None:
    """Returns when all are over; tells which failed. folder: of the sweep."""
    print(f"{len(tasks)} runs are submitted to SLURM as job {_jobs(tasks)}; Ctrl-C leaves them there.", flush=True)
    try:
        Watch(tasks, queue).wait(poll)
    except KeyboardInterrupt:
        print(
            f"The jobs go on in SLURM. To cancel them: scancel {_jobs(tasks)}\nTo see how they stand: python launch.py"
            f" experiment=collect sweep={shlex.quote(str(folder))}",
            flush=True,
        )
        sys.exit(STOPPED)


class Watch:
    def __init__(self, tasks: Sequence[Task], queue: Squeue) -> None:
        self.waiting = list(tasks)
        self.n = len(tasks)
        self.failed = 0
        self.queue = queue
        self.missed: Counter[str] = Counter()  # looks in a row, by task
        self.is_silent = False

    def wait(self, poll: float) -> None:
        self.look()
        while self.waiting:
            time.sleep(poll)
            self.look()

    def look(self) -> None:
        listed = self.queue.ids()  # first: who leaves the queue after this may have a result, or else next time
        self._tell_silence(listed is None)
        before = len(self.waiting)
        self.waiting = [task for task in self.waiting if not self._is_over(task, listed)]
        if len(self.waiting) < before:
            failed = f", {self.failed} of them failed" if self.failed else ""
            print(f"{self.n - len(self.waiting)} of {self.n} runs are over{failed}", flush=True)

    def _is_over(self, task: Task, listed: Set[str] | None) -> bool:
        if task.result.exists():
            self._tell_failure(task, _failure(task.result))
            return True
        if listed is None:
            return False
        self.missed[task.id] = 0 if task.id in listed else self.missed[task.id] + 1
        if self.missed[task.id] < LOOKS:
            return False
        self._tell_failure(task, "has left the queue without a result: killed, cancelled, or its node was lost")
        return True

    def _tell_failure(self, task: Task, words: str) -> None:
        if words:
            self.failed += 1
            complain(f"{task.name} {words} (job {task.id}, {task.log})")

    def _tell_silence(self, is_silent: bool) -> None:
        """Once: a controller that is started anew knows its jobs."""
        if is_silent and not self.is_silent:
            print(f"squeue does not answer ({self.queue.silence}); waiting until it does", flush=True)
        if self.is_silent and not is_silent:
            print("squeue answers again", flush=True)
        self.is_silent = is_silent


def _failure(result: Path) -> str:
    """In words, by what submitit has written; empty for none."""
    try:
        outcome, value = pickle.loads(result.read_bytes())
    except Exception as error:  # whatever a file that cannot be read does to pickle
        return f"left a result that cannot be read ({error})"
    if outcome != "success":
        return f"failed: {str(value).strip().splitlines()[-1]}"
    return f"ended with code {value}" if value else ""


def _jobs(tasks: Sequence[Task]) -> str:
    return " ".join(dict.fromkeys(task.id.split("_")[0] for task in tasks))
