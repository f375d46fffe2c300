"""The runs of a sweep, as it wrote them down, or, if it is older than that, as they stand in its folder; no torch."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import yaml  # type: ignore[import-untyped]

from data.errors import UserError
from systems.command.sweep import SweptRun, read_sweep

log = logging.getLogger(__name__)
SWEEP = "sweep"  # the key under which the user names the folder
OF_A_RUN = {"config.yaml", "status.json"}
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def swept_runs(folder: str) -> list[SweptRun]:
    """UserError if there are none."""
    place = Path(folder)
    if not place.is_dir():
        raise UserError(f"{SWEEP}={folder}: there is no such folder; say the one that the runs of a --multirun are in")
    try:
        runs = read_sweep(place)
    except UserError as error:
        if (place / "sweep.json").exists():
            log.warning("%s; until then, only runs that have begun are known", error)
        runs = [_run_in(place, found) for found in sorted(_folders(place))]
    if not runs:
        raise UserError(f"{SWEEP}={folder}: there is no run in it; say the folder that those of a --multirun are in")
    return runs


def _folders(place: Path) -> Iterator[Path]:
    """At any depth, but not within a run, where W&B may have put a config.yaml of its own."""
    for path, below, files in os.walk(place):
        if OF_A_RUN.isdisjoint(files):
            below[:] = [name for name in below if not name.startswith(".")]
        else:
            below.clear()
            yield Path(path)


def _run_in(place: Path, folder: Path) -> SweptRun:
    """Its setting is the folder around it: RunFolder's `variant`, or the row of a table."""
    said = _config(folder / "config.yaml")
    name, seed = folder.relative_to(place), said.get("seed")
    variant = "" if name.parent == Path() else str(name.parent)
    prompt = said.get("prompt", folder.name.rpartition("-")[0])
    told = None if prompt is None else str(prompt)
    return SweptRun(str(name), told, seed if isinstance(seed, int) else 0, variant, ())


def _config(file: Path) -> dict[str, object]:
    """Not through OmegaConf, which takes ten times as long; empty if it is damaged."""
    try:
        found = yaml.load(file.read_text(), Loader=LOADER)
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}
