"""A prior on disk: a folder in diffusers' layout. Imports nothing heavy, so that a wrong path is told at once."""

from __future__ import annotations

import hashlib
from pathlib import Path

from data.errors import UserError

REPOSITORY = Path(__file__).resolve().parents[1]
PARTS = ("unet", "vae", "scheduler", "text_encoder", "tokenizer")


def find_prior(path: str) -> Path:
    """The folder, relative to where the user stands or, for the embedded priors, to the repository."""
    candidates = [Path(path).expanduser(), REPOSITORY / path]
    folder = next((c for c in candidates if c.exists()), None)
    if folder is None:
        raise UserError(f"prior.path={path}: there is no such folder; point it at a prior in diffusers' layout")
    if not folder.is_dir():
        raise UserError(f"prior.path={path}: this is a file; point it at a folder in diffusers' layout")
    missing = [part for part in PARTS if not (folder / part).is_dir()]
    if missing:
        raise UserError(f"prior.path={path}: it lacks {', '.join(missing)}/; a prior has {', '.join(PARTS)}/")
    return folder.resolve()


def fingerprint(folder: Path, parts: tuple[str, ...]) -> str:
    """Changes when a file of these parts does: a hash of their names, sizes and modification times."""
    files = sorted(file for part in parts for file in (folder / part).rglob("*") if file.is_file())
    facts = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def content_hash(folder: Path) -> str:
    """Of what the files of all parts hold, wherever they lie; a gigabyte takes a second."""
    whole = hashlib.sha256()
    for file in sorted(file for part in PARTS for file in (folder / part).rglob("*") if file.is_file()):
        with file.open("rb") as content:
            whole.update(f"{file.relative_to(folder).as_posix()} ".encode())
            whole.update(hashlib.file_digest(content, "sha256").digest())
    return whole.hexdigest()
