"""What W&B records offline in a run folder, to be sent later. Imports nothing heavy."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path


def unsent(run: Path) -> list[Path]:
    """What a run folder holds of W&B's that was recorded offline, and not sent since."""
    return [place for place in sorted((run / "wandb").glob("offline-run-*-*")) if not any(place.glob("*.synced"))]


def sync_line(folders: Sequence[Path], *words: str) -> str:
    """What sends them; where two are parts of one run, W&B would else keep the last of them only."""
    ids = {folder.name.partition("run-")[2].split("-")[1] for folder in folders}  # run-<time>-<id>, and perhaps -1
    append = ["--append"] * (len(ids) < len(folders))
    return shlex.join(["wandb", "sync", *words, *append, *map(str, folders)])
