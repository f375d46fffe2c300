"""A folder of 3D files, and what is said of them."""

from __future__ import annotations

import csv
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from data.errors import UserError

ENDINGS = (".glb", ".gltf", ".obj", ".ply", ".stl")
CAPTIONS = ("captions.jsonl", "captions.csv", "captions.tsv", "captions.txt")  # the first that is there
HELD_OUT = "heldout.txt"
TRAIN, HELDOUT = "train", "heldout"
WAYS = '{"file": "models/fox.glb", "captions": ["a red fox", "a fox"]} in a .jsonl, or file<TAB>caption in a .txt'


@dataclass(frozen=True)
class CaptionedAsset:
    key: str  # a name of letters, digits, - and _, no two alike
    file: str  # in the folder
    captions: list[str]
    split: str = TRAIN
    licence: str | None = None


@dataclass(frozen=True)
class _Row:
    file: str
    captions: list[str]
    split: str | None = None
    licence: str | None = None


def list_assets(folder: Path, captions: str | None, key: str) -> list[CaptionedAsset]:
    """What `captions` lists; without it what `captions.jsonl`, .csv, .tsv or .txt in the folder lists; without that all
    3D files, described by their names. What no row puts into a split is in the one for training, but for the lines of
    `heldout.txt`.

    key: under which the user named `captions`.
    """
    if captions is not None and not Path(captions).is_file():
        raise UserError(f"{key}={captions}: there is no such file; say the path of one with rows like {WAYS}")
    given = [Path(captions)] if captions else [folder / name for name in CAPTIONS]
    source = next((file for file in given if file.is_file()), None)
    rows = _rows(source, folder) if source else [_Row(file, [_said(file)]) for file in _files(folder)]
    held_out = set((folder / HELD_OUT).read_text().split("\n")) if (folder / HELD_OUT).is_file() else set()
    assets, taken = [], set[str]()
    for row in rows:
        split = row.split or (HELDOUT if row.file in held_out else TRAIN)
        assets.append(CaptionedAsset(_key(row.file, taken), row.file, row.captions, split, row.licence))
    return assets


def _files(folder: Path) -> list[str]:
    found = (file for file in folder.rglob("*") if file.suffix.lower() in ENDINGS and file.is_file())
    return sorted(file.relative_to(folder).as_posix() for file in found)


def _said(file: str) -> str:
    """models/Red_fox-2.glb -> red fox"""
    words = re.sub(r"[\W_]+", " ", PurePosixPath(file).stem).strip().lower()
    return re.sub(r" \d+$", "", words)


def _key(file: str, taken: set[str]) -> str:
    """Short enough for the name of a member of a tar file."""
    stem = re.sub(r"[^A-Za-z0-9_]+", "-", str(PurePosixPath(file).with_suffix(""))).strip("-")[-72:] or "object"
    key, n = stem, 1
    while key in taken:
        n += 1
        key = f"{stem}-{n}"
    taken.add(key)
    return key


def _rows(source: Path, folder: Path) -> list[_Row]:
    try:
        lines = source.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{source} cannot be read ({error}); say rows like {WAYS}") from None
    if source.suffix == ".jsonl":
        rows = [_json_row(line, f"{source}, line {n}") for n, line in enumerate(lines, 1) if line.strip()]
    else:
        rows = list(_table_rows(source, lines, folder))
    for row in rows:
        if PurePosixPath(row.file).is_absolute() or ".." in PurePosixPath(row.file).parts:
            raise UserError(f"{source}: {row.file} is not inside {folder}; say paths from there")
    if not rows:
        raise UserError(f"{source} lists nothing; say rows like {WAYS}")
    return rows


def _json_row(line: str, place: str) -> _Row:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise UserError(f"{place} is no JSON ({error}); say rows like {WAYS}") from None
    file = row.get("file") if isinstance(row, dict) else None
    said = (row.get("captions") or [row.get("caption")]) if isinstance(file, str) else None
    split, licence = (row.get("split"), row.get("licence", row.get("license"))) if said else (None, None)
    texts = isinstance(said, list) and all(isinstance(text, str) and text.strip() for text in said)
    if not isinstance(file, str) or not texts or not isinstance(licence, str | None):
        raise UserError(f"{place} has no file, or no captions; say rows like {WAYS}")
    if split is not None and not re.fullmatch(r"\w+", str(split)):
        raise UserError(f"{place}: split is {split!r}; say one word, such as {TRAIN} or {HELDOUT}")
    assert isinstance(said, list)
    return _Row(file, said, split, licence)


def _table_rows(source: Path, lines: Sequence[str], folder: Path) -> Iterator[_Row]:
    """A file may have several rows, and be named without its ending, or without its folders, as an id."""
    delimiter = "," if source.suffix == ".csv" else "\t"
    said: dict[str, list[str]] = defaultdict(list)
    known = {name: file for file in reversed(_files(folder)) for name in _names(file)}
    for n, row in enumerate(csv.reader(lines, delimiter=delimiter), 1):
        if not row or (n == 1 and row[0] == "file"):
            continue
        if len(row) < 2 or not row[1].strip():
            raise UserError(f"{source}, line {n} has no caption; say rows like {WAYS}")
        said[known.get(row[0].strip(), row[0].strip())].append(row[1].strip())
    yield from (_Row(file, captions) for file, captions in said.items())


def _names(file: str) -> tuple[str, str, str]:
    path = PurePosixPath(file)
    return path.stem, str(path.with_suffix("")), file
