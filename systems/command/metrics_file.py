"""metrics.json of a run that is finished. Without torch."""

from __future__ import annotations

from pathlib import Path

from data.errors import UserError
from data.reading import read_json


def read_metrics(file: Path) -> dict:
    try:
        return read_json(file)
    except (ValueError, OSError) as error:
        raise damaged(file, error) from None


def damaged(file: Path, error: Exception) -> UserError:
    """What a run has written, and cannot be read."""
    return UserError(f"{file} cannot be read (it {error}): move its folder away, or say name=another")
