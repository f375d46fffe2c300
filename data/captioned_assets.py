"""A folder of 3D files, and what is said of them."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from data.errors import UserError
from data.reading import LARGEST_TABLE, is_inside, parse_table, read_text

ENDINGS = (".glb", ".gltf", ".obj", ".ply", ".stl")
CAPTIONS = ("captions.jsonl", "captions.csv", "captions.tsv", "captions.txt")  # the first that is there
HELD_OUT = "heldout.txt"
TRAIN, HELDOUT = "train", "heldout"
SPLIT = re.compile(r"\w{1,40}")  # a part of file names
HEADERS = {"file", "file_name", "filename", "path", "uid", "id", "name", "object", "model"}  # of a column of files
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
    3D files, described by their names. A file is once in the list, whatever number of rows it has. What no row puts
    into a split is in the one for training, but for the files that `heldout.txt` names.

    key: under which the user named `captions`.
    """
    if captions is not None and not Path(captions).is_file():
        raise UserError(f"{key}={captions}: there is no such file; say the path of one with rows like {WAYS}")
    given = [Path(captions)] if captions else [folder / name for name in CAPTIONS]
    source = next((file for file in given if file.is_file()), None)
    files = _files(folder)
    if leaving := next((file for file in files if not is_inside(file, folder)), None):
        raise UserError(f"{folder}: {leaving} is a link out of the folder; put the file in its place")
    rows = _rows(source, folder, files) if source else [_Row(file, [_said(file, folder)]) for file in files]
    held_out = _held_out(folder / HELD_OUT, [*files, *(row.file for row in rows)])
    assets, taken = [], set[str]()
    for row in rows:
        split = _one_split(row.file, row.split, HELDOUT if row.file in held_out else None, folder / HELD_OUT) or TRAIN
        assets.append(CaptionedAsset(_key(row.file, taken), row.file, row.captions, split, row.licence))
    return assets


def _one_split(file: str, said: str | None, also: str | None, source: Path) -> str | None:
    if None not in (said, also) and said != also:
        raise UserError(f"{source}: {file} is in two splits, {said} and {also}; say one")
    return said or also


def _files(folder: Path) -> list[str]:
    found = (file for file in folder.rglob("*") if file.suffix.lower() in ENDINGS and file.is_file())
    return sorted(file.relative_to(folder).as_posix() for file in found)


def _said(file: str, folder: Path) -> str:
    """models/Red_fox-2.glb -> red fox"""
    words = re.sub(r"[\W_]+", " ", PurePosixPath(file).stem).strip().lower()
    if not words:
        raise UserError(f"{folder}: the name of {file} cannot be its caption; rename it, or say captions: {WAYS}")
    return re.sub(r" \d+$", "", words)


def _held_out(source: Path, files: Iterable[str]) -> set[str]:
    names, lines = _Names(files), _lines(source) if source.is_file() else []
    found = {line: names.find(line, source) for line in map(str.strip, lines) if line}
    for line, file in found.items():
        if file is None:
            raise UserError(f"{source}: no 3D file is called {line}; say its path from {source.parent}")
    return {file for file in found.values() if file}


class _Names:
    """Files by what they may be called: by their paths, without their endings, without their folders."""

    def __init__(self, files: Iterable[str]) -> None:
        self.files: dict[str, set[str]] = defaultdict(set)
        for file in files:
            path = PurePosixPath(file)
            for name in (file, str(path.with_suffix("")), path.name, path.stem):
                self.files[name].add(file)

    def find(self, name: str, source: Path) -> str | None:
        """source: where it is named."""
        path = str(PurePosixPath(name))
        found = self.files.get(path, set())
        if len(found) > 1 and path not in found:
            raise UserError(f"{source}: {name} may be {' or '.join(sorted(found))}; say one of these paths")
        return path if path in found else next(iter(found), None)


def _key(file: str, taken: set[str]) -> str:
    """Short enough for the name of a member of a tar file."""
    stem = re.sub(r"[^A-Za-z0-9_]+", "-", str(PurePosixPath(file).with_suffix(""))).strip("-")[-72:] or "object"
    key, n = stem, 1
    while key in taken:
        n += 1
        key = f"{stem}-{n}"
    taken.add(key)
    return key


def _lines(source: Path) -> list[str]:
    try:
        return read_text(source, LARGEST_TABLE).split("\n")
    except (OSError, ValueError) as error:
        raise UserError(f"{source} cannot be read (it {error}); say it in UTF-8") from None


def _rows(source: Path, folder: Path, files: Sequence[str]) -> list[_Row]:
    lines = _lines(source)
    if source.suffix == ".jsonl":
        rows = [_json_row(line, f"{source}, line {n}") for n, line in enumerate(lines, 1) if line.strip()]
    else:
        rows = list(_table_rows(source, lines, _Names(files)))
    for row in rows:
        if not is_inside(row.file, folder):
            raise UserError(f"{source}: {row.file[:200]} is not inside {folder}; say paths from there")
    if not rows:
        raise UserError(f"{source} lists nothing; say rows like {WAYS}")
    return _merged(rows, source)


def _merged(rows: Sequence[_Row], source: Path) -> list[_Row]:
    """One of each file."""
    merged: dict[str, _Row] = {}
    for row in rows:
        one = merged.get(row.file, _Row(row.file, []))
        split = _one_split(row.file, one.split, row.split, source)
        merged[row.file] = _Row(row.file, [*one.captions, *row.captions], split, one.licence or row.licence)
    return list(merged.values())


def _json_row(line: str, place: str) -> _Row:
    try:
        row = parse_table(line)
    except ValueError as error:
        raise UserError(f"{place} {error}; say rows like {WAYS}") from None
    file = row.get("file")
    said = (row.get("captions") or [row.get("caption")]) if isinstance(file, str) else None
    split, licence = (row.get("split"), row.get("licence", row.get("license"))) if said else (None, None)
    texts = isinstance(said, list) and all(isinstance(text, str) and text.strip() for text in said)
    if not isinstance(file, str) or not PurePosixPath(file).name or not texts or not isinstance(licence, str | None):
        raise UserError(f"{place} has no file, or no captions; say rows like {WAYS}")
    if split is not None and not (isinstance(split, str) and SPLIT.fullmatch(split)):
        raise UserError(f"{place}: split is {str(split)[:200]!r}; say one word, such as {TRAIN} or {HELDOUT}")
    assert isinstance(said, list)
    return _Row(str(PurePosixPath(file)), said, split, licence)


def _table_rows(source: Path, lines: Iterable[str], names: _Names) -> Iterator[_Row]:
    """A file may be named without its ending, or without its folders, as an id. Quotes are a .csv's alone."""
    lines = [f"{line}\n" for line in lines]
    tabs = source.suffix != ".csv"
    table = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE) if tabs else csv.reader(lines, strict=True)
    try:
        for row in table:
            name = row[0].strip() if row else ""
            file = names.find(name, source)
            is_header = table.line_num == 1 and file is None and name.lower() in HEADERS
            if "".join(row).strip() and not is_header:
                caption = _caption_in(row, f"{source}, line {table.line_num}", "a tab" if tabs else "a comma")
                yield _Row(file or str(PurePosixPath(name)), [caption])
    except csv.Error as error:
        raise UserError(f"{source}, line {table.line_num}: {error}; say rows like {WAYS}") from None


def _caption_in(row: Sequence[str], place: str, between: str) -> str:
    if len(row) > 2:
        raise UserError(f"{place} has {len(row)} columns: a caption with {between} in it must be in quotes, in a .csv")
    if len(row) < 2 or not PurePosixPath(row[0].strip()).name or not row[1].strip():
        raise UserError(f"{place} has no file, or no caption; say rows like {WAYS}")
    return row[1].strip()
