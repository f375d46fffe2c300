"""Small files that others may have written: never read whole before their size is known. Imports nothing heavy."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO

LARGEST_JSON = 2**28  # bytes of a JSON file; those of priors and runs have a few thousand, a tokenizer's some millions
LARGEST_TABLE = 2**31  # bytes of a list of captions


def open_file(file: Path) -> BinaryIO:
    """ValueError for a pipe or a device, which keeps its reader waiting, or has no end."""
    stream = open(file, "rb", opener=_at_once)  # noqa: SIM115  # who calls this closes it
    if stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        return stream
    stream.close()
    raise ValueError("is a pipe or a device, not a file")


def _at_once(path: str, flags: int) -> int:
    """Opens a pipe whether or not anyone writes to it."""
    return os.open(path, flags | os.O_NONBLOCK)


def read_text(file: Path, largest: int) -> str:
    """In UTF-8, with or without a mark at its start. ValueError: "is ..." or "holds ...", what is wrong with it."""
    with open_file(file) as stream:
        return text_of(stream, largest)


def text_of(stream: BinaryIO, largest: int) -> str:
    """Of what the user may have opened as a pipe; ValueError as above."""
    content = stream.read(largest + 1)
    if len(content) > largest:
        raise ValueError(f"is larger than {largest:,} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"is no text in UTF-8 ({error})") from None


def is_inside(path: str, folder: Path) -> bool:
    """Whether a path that a list names stays in the folder of the list: in words, and where its links lead."""
    return stays_below(path) and leads_into(folder / path, folder)


def stays_below(path: str) -> bool:
    """In words."""
    kinds = (PurePosixPath(path), PureWindowsPath(path))
    return not any(kind.is_absolute() or kind.drive or ".." in kind.parts for kind in kinds)


def leads_into(file: Path, folder: Path) -> bool:
    """Whether a file is in a folder once all links are followed, those of the way to the folder too."""
    try:
        return Path(os.path.realpath(file)).is_relative_to(os.path.realpath(folder))
    except (OSError, ValueError):  # a name that no file can have
        return False


def read_json(file: Path) -> dict:
    """A table. ValueError: "is ..." or "holds ...", what is wrong with the file."""
    return parse_table(read_text(file, LARGEST_JSON))


def parse_table(text: str | bytes) -> dict:
    """ValueError for what is no table in JSON, or is nested more deeply than Python can read."""
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"is no JSON ({error})") from None
    if not isinstance(found, dict):
        raise ValueError(f"holds a {type(found).__name__}, not a table")
    return found
