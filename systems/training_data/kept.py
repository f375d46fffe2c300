"""What takes long to make, and is the same each time, in a file."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import torch

from data import torch_file
from data.whole_file import whole

log = logging.getLogger(__name__)
T = TypeVar("T")


def kept(path: Path, origin: str, make: Callable[[], dict[str, T]]) -> dict[str, T]:
    """What `path` holds, if it was made of the same `origin`; else what `make` gives now, written there."""
    found = _read(path)
    if found.pop("origin", None) == origin:
        return found
    made = make()
    _write_whole(path, {"origin": origin, **made})
    return made


def _read(path: Path) -> dict:
    """Nothing, if it is not there or not whole: it is made again."""
    try:
        found = torch_file.load(path)
        return found if isinstance(found, dict) else {}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        log.warning("%s cannot be read and is made again (%r)", path, error)
        return {}


def _write_whole(path: Path, content: Mapping[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as draft:
        torch.save(content, draft)
