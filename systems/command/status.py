"""status.json: how a run is going, for whoever looks from outside. Without torch."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path

from data.reading import read_json
from data.whole_file import write_text
from systems.command.processes import slurm_job

FILE = "status.json"
RUNNING, FINISHED, INTERRUPTED, REQUEUED, FAILED = "running", "finished", "interrupted", "requeued", "failed"


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


def read_status(folder: Path) -> Status | None:
    """None where there is none that can be read."""
    try:
        found = read_json(folder / FILE)
        known = {one.name for one in fields(Status)}
        return Status(**{name: value for name, value in found.items() if name in known} | {"starts": _starts(found)})
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def _starts(found: dict[str, object]) -> tuple[int, ...]:
    starts = found.get("starts", [])
    if not isinstance(starts, list):
        raise TypeError(starts)
    return tuple(starts)


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
