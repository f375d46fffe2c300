"""manifest.json of a job that draws pictures: where each comes from, and whether a continuation would draw the same."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from data.errors import UserError
from data.reading import read_json
from systems.reports.provenance import write_whole


@dataclass(frozen=True)
class Picture:
    """One file, and all that determines what it shows."""

    file: str  # relative to the run folder
    prompt: str
    sample: int  # of this prompt or, where all differ, of all prompts; from 0
    view: int
    azimuth: float  # degrees; 0: the front
    elevation: float
    seed: int
    sampler: str
    steps: int
    scale: float
    prior: str  # fingerprint of its weights
    sha256: str | None = None  # of the file; None: not drawn yet


def write_manifest(path: Path, pictures: Sequence[Picture]) -> None:
    """With the checksums of the files that exist."""
    write_whole(path, {"images": [asdict(replace(one, sha256=_sha256(path.parent / one.file))) for one in pictures]})


def check_manifest(path: Path, pictures: Sequence[Picture]) -> None:
    """UserError unless these are the pictures that it plans, and its files, where they still exist, are as written."""
    way_out = "say resume=never to draw them all anew, or name=another to keep both"
    try:
        written = [Picture(**one) for one in read_json(path)["images"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged ({error!r}): {way_out}") from error
    if [replace(one, sha256=None) for one in written] != list(pictures):
        raise UserError(f"{path.parent} holds pictures of other prompts or weights than there are now: {way_out}")
    for one in written:
        if one.sha256 is not None and _sha256(path.parent / one.file) not in (None, one.sha256):
            raise UserError(f"{path.parent / one.file} is not what was drawn there: {way_out}")


def _sha256(file: Path) -> str | None:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else None
