"""What a sweep says of itself: until systems/command tells it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from data.errors import UserError


@dataclass(frozen=True)
class SweptRun:
    """folder: relative to that of the sweep."""

    folder: str
    prompt: str | None
    seed: int
    variant: str
    overrides: tuple[str, ...]


def read_sweep(folder: Path) -> list[SweptRun]:
    try:
        found = json.loads((folder / "sweep.json").read_text())["runs"]
        return [SweptRun(**(run | {"overrides": tuple(run["overrides"])})) for run in found]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder} holds no sweep ({error})") from None
