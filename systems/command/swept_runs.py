"""The runs of a sweep, as it wrote them down, or, if it is older than that, as they stand in its folder; no torch."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from data.errors import UserError
from data.plain_text import is_plain, printable
from systems.command.stored_config import read_values
from systems.command.sweep import FILE, SweptRun, read_sweep

log = logging.getLogger(__name__)
SWEEP = "sweep"  # the key under which the user names the folder
OF_A_RUN = {"config.yaml", "status.json"}
COLLECT = "systems.evaluation.collect.Collect"
LONGEST = "turntable.mp4"  # of the names of a run's files that a page looks for


def swept_runs(folder: str) -> list[SweptRun]:
    """UserError if there are none."""
    place = Path(folder)
    if not place.is_dir():
        raise UserError(f"{SWEEP}={folder}: there is no such folder; say the one that the runs of a --multirun are in")
    asked = _asked(place)
    runs = [run for run in (_found(place) if asked is None else asked) if _can_be_entered(place / run.folder)]
    if not runs:
        raise UserError(f"{SWEEP}={folder}: there is no run in it; say the folder that those of a --multirun are in")
    return runs


def _asked(place: Path) -> list[SweptRun] | None:
    """None where no sweep says what it has asked for."""
    try:
        return read_sweep(place)
    except UserError as error:
        if (place / FILE).exists():
            log.warning("%s; until then, only runs that have begun are known", printable(str(error)))
        return None


def _found(place: Path) -> Iterator[SweptRun]:
    """At any depth, but not within a run, where W&B may have put a config.yaml of its own."""
    for path, below, files in os.walk(place):
        folder, name = Path(path), Path(path).relative_to(place)
        below[:] = sorted(one for one in below if not one.startswith(".") and _has_a_name(folder, one))
        if folder != place and FILE in files and (asked := _asked(folder)) is not None:
            below.clear()
            for run in asked:
                variant = "/".join(filter(None, [str(name), run.variant]))
                told = (f"{SWEEP}={name}", *run.overrides)  # which sets it apart from those of other sweeps
                yield replace(run, folder=str(name / run.folder), variant=variant, overrides=told)
        elif not OF_A_RUN.isdisjoint(files):
            below.clear()
            yield from _run_in(folder, name)


def _has_a_name(folder: Path, name: str) -> bool:
    if is_plain(name):
        return True
    log.warning("%s is left out: its name is no text", printable(str(folder / name)))
    return False


def _can_be_entered(path: Path) -> bool:
    """Not so what is a link to itself, or has a longer path than there can be."""
    try:
        os.stat(path / LONGEST)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError as error:
        log.warning("%s is left out: it cannot be read (%s)", printable(str(path)), error.strerror)
        return False
    return True


def _run_in(folder: Path, name: Path) -> Iterator[SweptRun]:
    """Its setting is the folder around it: RunFolder's `variant`, or the row of a table. Nothing for a collection."""
    said = _config(folder / "config.yaml")
    job, prompt, seed = said.get("job"), said.get("prompt", ""), said.get("seed")
    if isinstance(job, dict) and job.get("_target_") == COLLECT:
        return
    if not (prompt is None or (isinstance(prompt, str) and prompt and printable(prompt) == prompt)):
        prompt = folder.name.rpartition("-")[0]
    variant = "" if name.parent == Path() else str(name.parent)
    yield SweptRun(str(name), prompt, seed if isinstance(seed, int) else 0, variant, ())


def _config(file: Path) -> dict[object, object]:
    """Empty if it is damaged."""
    try:
        return read_values(file)
    except (OSError, ValueError):
        return {}
