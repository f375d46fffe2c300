"""What a run of a sweep has left so far: how it stands, and its figures, whatever state its files are in."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from data.plain_text import one_line, printable
from data.reading import open_file
from systems.command.claim import is_held
from systems.command.status import FAILED, FILE, FINISHED, INTERRUPTED, RUNNING, Status, read_status
from systems.command.sweep import GONE, SweptRun
from systems.reports.tables import Values, read_figures

KILLED, WAITING = "killed", "waiting"  # what a run cannot say of itself
METRICS, ROWS = "metrics.json", "metrics.csv"
ANEW = "the same sweep again writes it, once it is gone"
TAIL = 64 * 1024  # bytes of the end of a file that are looked at
LARGEST = 2**63  # that a figure may be
N_LINES, LONGEST = 8, 400  # of a log, and letters of a line


@dataclass(frozen=True)
class Left:
    """state: finished, running, requeued, interrupted, failed, killed or waiting. step, steps: how far it is, of how
    many. reason: why it is not finished. figures: those of metrics.json if `final`, else of the last step.
    lines: the end of its logs, if it failed or was killed."""

    run: SweptRun
    folder: Path
    state: str
    step: int | None = None
    steps: int | None = None
    starts: Sequence[int] = ()
    reason: str = ""
    figures: Values = field(default_factory=dict)
    final: bool = False
    lines: Sequence[str] = ()
    status: Status | None = None

    @property
    def progress(self) -> str:
        if self.steps is None:
            return "" if self.step is None else str(self.step)
        return f"{self.step or 0}/{self.steps}"

    @property
    def happened(self) -> str:
        resumed = " and ".join(str(step) for step in self.starts[1:])
        return "; ".join(filter(None, [resumed and f"resumed at step {resumed}", self.reason]))


def look_at(run: SweptRun, sweep: Path) -> Left:
    folder = sweep / run.folder
    status = read_status(folder)
    state, reason = _state(folder, status)
    figures, damage = _final_figures(folder)
    on_the_way = {} if figures else _last_row(folder / ROWS)
    return Left(
        run,
        folder,
        state,
        _step(status, state, figures, on_the_way),
        status.steps if status else None,
        status.starts if status else (),
        one_line("; ".join(filter(None, [reason, damage]))),
        figures or on_the_way,
        bool(figures),
        _ends_of_logs(folder, sweep, status) if state in (FAILED, KILLED) else (),
        status,
    )


def _state(folder: Path, status: Status | None) -> tuple[str, str]:
    """And why. metrics.json is written last: it says that a run is finished also where nothing else does."""
    finished, held = os.path.exists(folder / METRICS), is_held(folder)
    if status is not None and status.state == FINISHED and not finished:
        return INTERRUPTED, GONE
    if status is not None and status.state != RUNNING:
        return status.state, status.reason
    if finished:
        return FINISHED, ""
    if held:
        return RUNNING, ""
    if status is not None:
        return KILLED, f"its process ended on {status.host} without a word, after {status.updated}"
    if os.path.exists(folder / FILE):
        return KILLED, f"its {FILE} cannot be read, and nobody is at work on it"
    if os.path.exists(folder / ROWS):  # older than status.json
        return INTERRUPTED, "it has no metrics.json, and nobody is at work on it"
    return WAITING, ""


def _final_figures(folder: Path) -> tuple[Values, str]:
    """Or why there are none that can be read."""
    if not os.path.exists(folder / METRICS):
        return {}, ""
    try:
        found = read_figures(folder / METRICS)
        found = dict(_shown(name, value) for name, value in found.items() if not _is_endless(value))
    except (OSError, ValueError) as error:
        return {}, f"its {METRICS} cannot be read ({error}): {ANEW}"
    return found, "" if found else f"its {METRICS} says nothing: {ANEW}"


def _shown(name: str, value: str | int | float) -> tuple[str, str | int | float]:
    return printable(name), printable(value) if isinstance(value, str) else value


def _is_endless(value: str | int | float) -> bool:
    return isinstance(value, int) and abs(value) >= LARGEST


def _last_row(file: Path) -> Values:
    """Of a file that may be growing, or being written anew, as it is read: its last step, and what was last said of
    each column, since many are not said at every step."""
    *lines, _ = _end_of(file).split("\n")  # the last one has no end yet
    try:
        with open_file(file) as rows:
            columns = next(csv.reader([rows.readline(TAIL).decode()]), [])
        said: dict[str, str] = {}
        for cells in csv.reader(reversed(lines)):
            if len(cells) == len(columns) and cells != columns:
                said = {name: cell for name, cell in zip(columns, cells, strict=True) if cell} | said
            if len(said) == len(columns):
                break
        return {name: value for name in columns if (value := _number(said.get(name, ""))) is not None}
    except (OSError, ValueError, csv.Error):
        return {}


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _step(status: Status | None, state: str, figures: Values, on_the_way: Values) -> int | None:
    """Of a run that goes on, by its last row; of all others, what is saved."""
    if state == RUNNING and math.isfinite(float(on_the_way.get("step", math.nan))):
        return int(on_the_way["step"]) + 1  # the first step is number 0
    if status and status.step is not None:
        return status.step
    saved = figures.get("steps")
    return saved if isinstance(saved, int) else None


def _ends_of_logs(folder: Path, sweep: Path, status: Status | None) -> tuple[str, ...]:
    """The last lines of run.log and of what SLURM wrote down, each below the file's name."""
    files = [folder / "run.log"]
    if status and status.job:
        submitted = sorted((sweep / ".submitit").rglob(status.job))
        files += [place / f"{status.job}_0_log.{kind}" for place in submitted for kind in ("out", "err")]
    found: list[str] = []
    for file in files:
        lines = [line for line in printable(_end_of(file).replace("\r", "\n")).splitlines() if line.strip()]
        if lines:
            found += [f"{file.name}:", *(line[:LONGEST] for line in lines[-N_LINES:])]
    return tuple(found)


def _end_of(file: Path) -> str:
    try:
        with open_file(file) as content:
            content.seek(max(0, os.fstat(content.fileno()).st_size - TAIL))
            return content.read().decode(errors="replace")
    except (OSError, ValueError):
        return ""
