"""Files, and folders, that are there whole or not at all, whatever happens to the process or the machine while they are
written."""

from __future__ import annotations

import glob
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

DRAFT = ".draft-"  # how the names of what is not finished begin


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A name to write under, with the suffix of `path`, which takes its place once it is on the disk; nobody else's
    draft has it. Of a block that fails nothing stays. A folder within one that is gone is not made: FileNotFoundError.
    """
    path.parent.mkdir(exist_ok=True)
    draft = _draft(path)
    try:
        yield draft
        flush(draft)
        os.replace(draft, path)
        flush(path.parent)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder to write into, which takes the place of `path` and all that is in it, once it is on the disk. Of a block
    that fails nothing stays. For one process at a time; who reads meanwhile keeps the files that are open."""
    path = restored(path.resolve())  # a link stays one
    path.parent.mkdir(parents=True, exist_ok=True)
    _clear_after(path)
    draft = _draft(path)
    draft.mkdir()
    try:
        yield draft
        for part in [*draft.rglob("*"), draft]:
            flush(part)
        _put_in_place(draft, path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        restored(path)


def _put_in_place(draft: Path, path: Path) -> None:
    """No folder replaces another at once. What stood there is then under the name of the draft."""
    aside = _aside(path)
    while True:
        if path.exists():
            path.rename(aside)
        try:
            draft.rename(path)
            break
        except OSError:
            if not path.exists():  # else a reader has put back what it missed
                raise
    flush(path.parent)
    with suppress(FileNotFoundError):
        aside.rename(draft)


def _clear_after(path: Path) -> None:
    """What those have left that were killed while they replaced the folder."""
    left = list(path.parent.glob(f"{DRAFT}{'?' * 8}-{glob.escape(path.name)}"))
    for folder in [*left, _aside(path)] if path.exists() else left:
        shutil.rmtree(folder, ignore_errors=True)


def restored(path: Path) -> Path:
    """The path; a folder that a process was replacing when it was killed stands there again."""
    if not path.exists() and (aside := _aside(path)).is_dir():
        with suppress(OSError):  # another process was faster, or the disk can only be read
            aside.rename(path)
    return path


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    with whole(path) as draft:
        draft.write_bytes(content)


def clear_drafts(folder: Path) -> None:
    """What a killed process has left of its drafts, in a folder that is nobody else's."""
    for draft in list(folder.rglob(f"{DRAFT}*")):
        if draft.is_dir():
            shutil.rmtree(draft, ignore_errors=True)
        else:
            draft.unlink(missing_ok=True)


def _draft(path: Path) -> Path:
    return path.with_name(f"{DRAFT}{uuid.uuid4().hex[:8]}-{path.name}")


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.replaced")


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
