"""Fingerprints by content, and a memory of them: five gigabytes take seconds to read, and rarely change."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

from data.whole_file import write_text

log = logging.getLogger(__name__)
REMEMBERED_FROM = 2**26  # bytes; a smaller file is read again in no time


def checksum(file: Path, cache_dir: Path | None = None) -> str:
    """The sha256 of a file; of a large one remembered in ~/.cache/fourview until its size or time changes."""
    facts = file.stat()
    if facts.st_size < REMEMBERED_FROM:
        return _sha256(file)
    folder = cache_dir or Path.home() / ".cache" / "fourview" / "checksums"
    key = hashlib.sha256(repr((str(file.resolve()), facts.st_size, facts.st_mtime_ns)).encode()).hexdigest()
    note = folder / key
    if note.exists():
        return note.read_text()
    digest = _sha256(file)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(note, digest)
    except OSError as error:
        log.warning("%s: the checksum of %s is not remembered (%s)", folder, file, error)
    return digest


def fingerprint(folder: Path, parts: tuple[str, ...]) -> str:
    """Changes when a file of these parts does: a hash of their names and contents."""
    files = sorted(file for part in parts for file in (folder / part).rglob("*") if file.is_file())
    facts = [(str(file.relative_to(folder)), checksum(file)) for file in files]
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
