"""Files that are there whole or not at all, whatever happens to the process or the machine while they are written."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DRAFT = ".draft-"  # how the names of unfinished files begin


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A name to write under, with the suffix of `path`, which takes its place once it is on the disk; nobody else's
    draft has it. Of a block that fails nothing stays. A folder within one that is gone is not made: FileNotFoundError.
    """
    path.parent.mkdir(exist_ok=True)
    draft = path.with_name(f"{DRAFT}{uuid.uuid4().hex[:8]}-{path.name}")
    try:
        yield draft
        flush(draft)
        os.replace(draft, path)
        flush(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    with whole(path) as draft:
        draft.write_bytes(content)


def clear_drafts(folder: Path) -> None:
    """What a killed process has left of its drafts, in a folder that is nobody else's."""
    for draft in folder.rglob(f"{DRAFT}*"):
        draft.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Out of the operating system's memory, so that a machine that loses its power does not lose the file; a folder
    where one can."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        if path.is_dir():  # as on Windows
            return
        raise
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
