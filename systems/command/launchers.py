"""launcher=: where the runs of a sweep are made. Here, on this machine; without torch."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from data.ranges import PositiveInt
from systems.command.ending import STOPPED, complain
from systems.command.jobs import Job
from systems.command.parent import end_with_parent

if TYPE_CHECKING:
    from joblib.externals.loky.process_executor import ProcessPoolExecutor

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


class Launcher(Protocol):
    def check(self) -> None:
        """UserError if it cannot launch anything here."""

    def launch(self, jobs: Iterable[Job], folder: Path) -> None:
        """Returns when all are over. folder: of the sweep."""


class Local:
    """One after another, in this process."""

    def check(self) -> None:
        pass

    def launch(self, jobs: Iterable[Job], folder: Path) -> None:
        returned = [job.run() for job in jobs]
        for one in returned:
            _ = one.return_value  # raises what Hydra has kept


class Joblib:
    """Several at a time on this machine, in joblib's processes, which make one run after another and end with this one.

    A run that kills its process, say for want of memory, takes no other with it: each process is a pool of its own.
    """

    def __init__(self, jobs: PositiveInt = 2) -> None:
        self.jobs = jobs

    def check(self) -> None:
        pass

    def launch(self, jobs: Iterable[Job], folder: Path) -> None:
        # A process that has grown too big for joblib's liking is replaced by another; nothing is lost
        warnings.filterwarnings("ignore", message="A worker stopped while some jobs were given")
        todo = deque(jobs)
        with tempfile.TemporaryDirectory(prefix="fourview-") as temporary:  # of libraries that leave something behind
            env = {"TMPDIR": temporary, **_threads(self.jobs)}
            stopped = _work([Worker(todo, env) for _ in range(min(self.jobs, len(todo)))])
        if stopped:
            print("Interrupted. The same command goes on with what is not finished.", flush=True)
            sys.exit(STOPPED)


def _work(workers: list[Worker]) -> bool:
    """Until there is nothing left to do; whether it was told to stop."""
    with _told_to_stop(workers) as stopped:
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    return stopped.is_set()


class Worker(threading.Thread):
    """Hands run after run to a process, and starts another where one dies."""

    starting = threading.Lock()  # of processes, which share a tracker and the environment: one after the other

    def __init__(self, todo: deque[Job], env: dict[str, str]) -> None:
        super().__init__()
        self.todo, self.env = todo, env
        self.pool: ProcessPoolExecutor | None = None
        self.stopping = False

    def run(self) -> None:
        while self.todo and not self.stopping:
            self._serve()

    def stop(self) -> None:
        """The run in progress is told, once more each time; the next does not begin."""
        self.stopping = True
        for pid in list(self.pool._processes or ()) if self.pool else ():
            _send(pid, signal.SIGINT)

    def _serve(self) -> None:
        with self.starting:
            from joblib.externals.loky.process_executor import BrokenProcessPool, ProcessPoolExecutor

            self.pool = ProcessPoolExecutor(1, initializer=_settle_in, env=self.env)
        with self.pool:
            while not self.stopping:
                try:
                    job = self.todo.popleft()
                except IndexError:
                    return
                try:
                    with self.starting:
                        made = self.pool.submit(_make, job)
                    made.result()
                except BrokenProcessPool:
                    if not self.stopping:
                        complain(f"{job.name}: its process was killed; the others go on")
                    return


def _settle_in() -> None:
    """Of a new process. Ctrl-C in a terminal reaches who started it alone, who tells each run once."""
    os.setpgrp()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()


def _make(job: Job) -> int:
    parent = os.getppid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return job.run_elsewhere()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if os.getppid() != parent:  # killed: nobody will ever ask for more
            os._exit(STOPPED)


def _threads(jobs: int) -> dict[str, str]:
    """A share of the cores, unless the user has said how many."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {name: str(max(1, cores // jobs)) for name in THREADS if name not in os.environ}


@contextmanager
def _told_to_stop(workers: list[Worker]) -> Iterator[threading.Event]:
    """Set once this process is told to stop, which is passed on."""
    stopped = threading.Event()

    def stop(number: int, frame: object) -> None:
        if not stopped.is_set():
            print("Stopping: each run saves its state first; once more to stop at once.", flush=True)
        stopped.set()
        for worker in workers:
            worker.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _send(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
