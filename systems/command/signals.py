"""What a signal does to a process that has no training of its own to save: what Ctrl-C does. Without torch."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from systems.command.processes import slurm_job

STOP = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
GIVE_WAY = tuple(getattr(signal, name) for name in ("SIGUSR1", "SIGUSR2") if hasattr(signal, name))
TRIES, PAUSE = 3, 5.0  # SLURM's controller may be starting anew


class GivenWay(KeyboardInterrupt):
    """SLURM starts this job again."""


def stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def give_way(number: int, frame: FrameType | None) -> None:
    """Of a time limit or a preemption."""
    raise (KeyboardInterrupt if requeue() else GivenWay)


@contextmanager
def listening() -> Iterator[None]:
    """To the signals that nobody else listens to, or has told this process not to hear."""
    wanted = dict.fromkeys(STOP, stop) | dict.fromkeys(GIVE_WAY, give_way)
    mine = {number: ours for number, ours in wanted.items() if signal.getsignal(number) is signal.SIG_DFL}
    if threading.current_thread() is not threading.main_thread():  # which alone may
        mine = {}
    for number, ours in mine.items():
        signal.signal(number, ours)
    try:
        yield
    finally:
        for number, ours in mine.items():
            if signal.getsignal(number) is ours:
                signal.signal(number, signal.SIG_DFL)


def requeue() -> str:
    """SLURM starts this job again; or else, why it does not."""
    job, reason = slurm_job(), "this is no job of SLURM"
    for attempt in range(TRIES if job else 0):
        if attempt:
            time.sleep(PAUSE)
        try:
            subprocess.run(["scontrol", "requeue", job], check=True, timeout=60, capture_output=True, text=True)
            return ""
        except (OSError, subprocess.SubprocessError) as error:
            reason = " ".join((getattr(error, "stderr", "") or str(error)).split())
    return reason
