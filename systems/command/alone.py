"""A file that one process at a time reads and writes."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO


@contextmanager
def alone(path: Path) -> Iterator[TextIO]:
    """The file, open and there, while no other process has it so, on file systems that know such a thing."""
    while True:
        with path.open("a+") as file:
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX)
            if not _is_still(file.fileno(), path):  # who had it has removed it meanwhile
                continue
            yield file
            return


def _is_still(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
