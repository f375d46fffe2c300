"""Small files that others may have written: never read whole before their size is known. Imports nothing heavy."""

from __future__ import annotations

import json
import os
from pathlib import Path, PurePosixPath, PureWindowsPath

LARGEST_JSON = 2**28  # bytes of a JSON file; those of priors and runs have a few thousand, a tokenizer's some millions
LARGEST_TABLE = 2**31  # bytes of a list of captions


def read_text(file: Path, largest: int) -> str:
    """In UTF-8, with or without a mark at its start. ValueError: "is ..." or "holds ...", what is wrong with it."""
    with file.open("rb") as stream:
        content = stream.read(largest + 1)
    if len(content) > largest:
        raise ValueError(f"is larger than {largest:,} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"is no text in UTF-8 ({error})") from None


def is_inside(path: str, folder: Path) -> bool:
    """Whether a path that a list names stays in the folder of the list: in words, and where its links lead."""
    kinds = (PurePosixPath(path), PureWindowsPath(path))
    if any(kind.is_absolute() or kind.drive or ".." in kind.parts for kind in kinds):
        return False
    return leads_into(folder / path, folder)


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
