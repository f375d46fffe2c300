"""Whether there are enough pictures of a subject; imports nothing heavy, so that a wrong folder is told at once."""

from __future__ import annotations

from pathlib import Path

from data.errors import UserError

ENDINGS = ("jpg", "jpeg", "png", "webp")
FEWEST = 3
WAY = "say a folder with 3 to 6 pictures of one subject, .jpg, .png or .webp"


def subject_files(folder: str) -> list[Path]:
    """In the order of their names."""
    if not folder:
        raise UserError(f"subject.pictures is missing: {WAY}")
    if not Path(folder).is_dir():
        raise UserError(f"subject.pictures={folder}: there is no such folder; {WAY}")
    files = sorted(file for file in Path(folder).iterdir() if file.suffix.lower().lstrip(".") in ENDINGS)
    if len(files) < FEWEST:
        raise UserError(f"subject.pictures={folder} holds {len(files)} pictures; {WAY}")
    return files
