"""A process that ends with the one that started it, and not before it is told to."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1


def start(command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """What it says is added to the log. Ctrl-C does not reach it: who started it tells it to stop, once."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as said:
        return subprocess.Popen(
            command, stdout=said, stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=_end_with_parent
        )


def _end_with_parent() -> None:
    """On Linux, where one can; elsewhere a process whose parent is killed goes on unseen."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
