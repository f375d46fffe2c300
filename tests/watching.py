"""What a piece of the program does to files and starts: seen by Python itself (audit hooks), whoever does it."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
CHANGES = {"os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "shutil.rmtree"}
STARTS = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.startfile"}
OWN = ("__pycache__", "/dev/", ".nbi", ".nbc")  # of Python, of the terminal, of numba


class Watch:
    """While it is on, notes what is changed outside of `allowed`, and every program that is started."""

    def __init__(self) -> None:
        self.allowed: Path | None = None
        self.seen: list[str] = []
        sys.addaudithook(self._note)

    def _note(self, event: str, given: tuple[object, ...]) -> None:
        if self.allowed is None:
            return
        if event in STARTS:
            self.seen.append(f"{event} {str(given)[:200]}")
        elif event in CHANGES or (event == "open" and isinstance(given[2], int) and given[2] & WRITES):
            path = os.path.abspath(os.fsdecode(given[0])) if isinstance(given[0], str | bytes | os.PathLike) else ""
            if path and not path.startswith(str(self.allowed)) and not any(own in path for own in OWN):
                self.seen.append(f"{event} {path}")


def hashes(folder: Path) -> dict[str, str]:
    """Of every file in it."""
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.rglob("*") if file.is_file()}
