"""Wall clock of a run: from the start of the command, imports included; of a sweep's later job, from the one before."""

from __future__ import annotations

import time

_began = time.monotonic()


def restart() -> None:
    global _began
    _began = time.monotonic()


def seconds() -> float:
    return time.monotonic() - _began
