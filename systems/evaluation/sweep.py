"""Runs that are missing, made by launch.py in processes of their own, one after another."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from guidance.prior_folder import REPOSITORY
from systems.command.run_folder import RunFolder, interrupted
from systems.evaluation.child_process import start
from systems.reports.progress import countdown

log = logging.getLogger(__name__)
LAUNCH = REPOSITORY / "launch.py"
LINE_EVERY = 60.0  # seconds, where there is no terminal for a bar
LOOK_EVERY = 1.0


@dataclass(frozen=True)
class Batch:
    """What one process makes. waiting: how many of its runs are not finished. log: where it writes."""

    name: str
    overrides: Sequence[str]
    waiting: Callable[[], int]
    log: Path


def make_missing(batches: Sequence[Batch], folder: RunFolder) -> None:
    """A batch that fails is told, and does not keep the others from running. Who stops this stops the run in progress,
    too, which is saved."""
    left = lambda: sum(batch.waiting() for batch in batches)
    total, started = left(), time.monotonic()
    told = started

    def tell() -> None:
        nonlocal told
        done = total - left()
        bar.update(task, completed=done)
        if bar.disable and time.monotonic() - told >= LINE_EVERY:
            told = time.monotonic()
            minutes = (told - started) / done * (total - done) / 60 if done else 0
            log.info("%d/%d runs%s", done, total, f"  {minutes:.0f} minutes left" if done else "")

    try:
        with countdown() as bar:
            task = bar.add_task("runs", total=total)
            for batch in batches:
                if batch.waiting():
                    _run(batch, tell)
    except KeyboardInterrupt:
        raise interrupted(folder.path, f"Interrupted; {total - left()} of {total} missing runs were made.") from None


def _run(batch: Batch, tell: Callable[[], None]) -> None:
    log.info("%s: %d runs; what they say is in %s", batch.name, batch.waiting(), batch.log)
    process = start([sys.executable, str(LAUNCH), *batch.overrides], batch.log)
    try:
        while process.poll() is None:
            time.sleep(LOOK_EVERY)
            tell()
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
    if batch.waiting():
        log.warning("%s: %d runs were not made: %s", batch.name, batch.waiting(), _last_line(batch.log))


def _last_line(path: Path) -> str:
    lines = [line for line in path.read_text().splitlines() if line.strip()]
    return lines[-1] if lines else "nothing was said"
