"""What a run and a sweep say of themselves: until systems/command tells it."""

from __future__ import annotations

import json
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from data.errors import UserError


@dataclass(frozen=True)
class Status:
    state: str
    step: int | None
    steps: int | None
    reason: str
    code: int
    starts: list[int]
    host: str
    pid: int
    job: str
    started: str
    updated: str


@dataclass(frozen=True)
class SweptRun:
    """folder: relative to that of the sweep."""

    folder: str
    prompt: str
    seed: int
    variant: str
    overrides: list[str]


def read_status(folder: Path) -> Status | None:
    try:
        return Status(**json.loads((folder / "status.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None


def is_held(folder: Path) -> bool:
    lock = folder / ".lock"
    try:
        found = json.loads(lock.read_text())
        if found["host"] != socket.gethostname():
            return time.time() - lock.stat().st_mtime < 60
        os.kill(found["pid"], 0)
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return True


def read_sweep(folder: Path) -> list[SweptRun]:
    try:
        return [SweptRun(**run) for run in json.loads((folder / "sweep.json").read_text())["runs"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder} holds no sweep ({error})") from None
