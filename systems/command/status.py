"""status.json: how a run is going, for whoever looks from outside. Without torch."""

from __future__ import annotations

import json
import os
import re
import socket
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_type_hints

from data.plain_text import printable
from data.reading import read_json
from data.whole_file import write_text
from systems.command.processes import slurm_job

FILE = "status.json"
RUNNING, FINISHED, INTERRUPTED, REQUEUED, FAILED = "running", "finished", "interrupted", "requeued", "failed"
STATES = (RUNNING, FINISHED, INTERRUPTED, REQUEUED, FAILED)
JOB = re.compile(r"(\w[\w.-]*)?")  # part of a file's name


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True)
class Status:
    """state: one of the words above; a run that says running and whose folder nobody holds was killed.
    step: of the last checkpoint, of `steps`; None for a job without steps. starts: the steps at which this run was
    started, [0, 20] if it went on once. code: what the command exits with. job: of SLURM. Times are UTC.
    """

    state: str = RUNNING
    step: int | None = None
    steps: int | None = None
    reason: str = ""
    code: int = 0
    starts: tuple[int, ...] = ()
    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)
    job: str = field(default_factory=slurm_job)
    started: str = field(default_factory=_now)
    updated: str = field(default_factory=_now)


KINDS = get_type_hints(Status) | {"starts": list}  # in JSON


def read_status(folder: Path) -> Status | None:
    """None where there is none that can be read."""
    try:
        found = read_json(folder / FILE)
        status = Status(**{name: _value(name, found[name]) for name in KINDS if name in found})
    except (OSError, ValueError, TypeError):
        return None
    return status if status.state in STATES and JOB.fullmatch(status.job) else None


def _value(name: str, value: Any) -> Any:
    """TypeError if it is not what a run writes there."""
    if not isinstance(value, KINDS[name]):
        raise TypeError(value)
    if isinstance(value, list):
        if not all(isinstance(one, int) for one in value):
            raise TypeError(value)
        return tuple(value)
    return printable(value) if isinstance(value, str) else value


def begin(folder: Path) -> None:
    """A process starts, or goes on with, the run of this folder."""
    before = read_status(folder)
    now = Status()
    if before:
        now = replace(now, step=before.step, steps=before.steps, starts=before.starts, started=before.started)
    _write(folder, now)


def start_at(folder: Path, step: int, steps: int) -> None:
    before = _current(folder)
    _write(folder, replace(before, step=step, steps=steps, starts=(*before.starts, step)))


def saved(folder: Path, step: int) -> None:
    _write(folder, replace(_current(folder), step=step))


def end(folder: Path, state: str, code: int = 0, reason: str = "") -> None:
    _write(folder, replace(_current(folder), state=state, code=code, reason=reason))


def _current(folder: Path) -> Status:
    return read_status(folder) or Status()


def _write(folder: Path, status: Status) -> None:
    write_text(folder / FILE, json.dumps(asdict(replace(status, updated=_now())), indent=2) + "\n")
