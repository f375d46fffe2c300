"""What SLURM says of the user's jobs. Needs no accounting."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Set
from typing import Protocol

SECONDS = 60.0  # that squeue may take


class Queue(Protocol):
    def ids(self) -> Set[str] | None:
        """Of the tasks that wait or run, `12_3` is the fourth of a job array; None if there is no answer."""


class Squeue:
    def __init__(self) -> None:
        self.silence = ""  # why there was no answer

    def ids(self) -> Set[str] | None:
        command = ["squeue", "--noheader", "--array", "--format=%i", f"--user={os.getuid()}"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            self.silence = str(error)
            return None
        self.silence = " ".join(done.stderr.split())
        return set(done.stdout.split()) if done.returncode == 0 else None
