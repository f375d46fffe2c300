"""Captioned pictures, from a folder or from tar files as LAION's downloaders write them."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps
from torch import Tensor

from data.errors import UserError
from data.ranges import PositiveInt
from data.tars import LARGEST, Member, read_samples

ENDINGS = ("jpg", "jpeg", "png", "webp")
TABLES = ("captions.jsonl", "metadata.jsonl")
MOST_PIXELS = 2**26
WAYS = 'a captions.jsonl with rows {"file": "a.jpg", "caption": "..."}, an a.txt beside a.jpg, or .tar files with both'


@dataclass(frozen=True)
class CaptionedPicture:
    image: UInt8[Tensor, "h w 3"]
    caption: str
    source: str


@dataclass(frozen=True)
class _Entry:
    picture: Path | Member
    caption: str | Path | Member  # a .json holds it under "caption"

    @property
    def source(self) -> str:
        return f"{self.picture.tar}:{self.picture.name}" if isinstance(self.picture, Member) else str(self.picture)


class CaptionedPictures:
    """Those that have a caption, read when they are asked for, in the order of their names. Each is scaled until its
    shorter side has `size` pixels, and loses what is then beyond the middle square.

    path: a folder of pictures or of .tar files, or one .tar file: with members a.jpg, and a.txt or a.json.
    key: under which the user named it.
    """

    def __init__(self, path: str, size: PositiveInt = 64, key: str = "path") -> None:
        self.path, self.size, self.key = path, size, key
        if not Path(path).exists():
            raise UserError(f"{key}={path} is not there: say a folder with {WAYS}")
        tars = [Path(path)] if Path(path).is_file() else sorted(Path(path).glob("*.tar"))
        entries = [entry for tar in tars for entry in _of_tar(tar, key)] if tars else self._of_folder()
        self.entries = entries
        if not entries:
            raise UserError(f"{key}={path} holds no picture with a caption: say a folder with {WAYS}")

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> CaptionedPicture:
        entry = self.entries[index]
        try:
            image = _square(_read(entry.picture), self.size)
            return CaptionedPicture(image, _caption(entry.caption), entry.source)
        except (OSError, ValueError, KeyError, SyntaxError, Image.DecompressionBombError) as error:
            raise UserError(f"{self.key}={self.path}: {entry.source} cannot be read ({error}); leave it out") from error

    def _of_folder(self) -> list[_Entry]:
        folder = Path(self.path)
        table = next((folder / name for name in TABLES if (folder / name).is_file()), None)
        if table is not None:
            lines = enumerate(table.read_text(encoding="utf-8-sig").splitlines(), 1)
            return [self._row(folder, line, f"{table}, line {n}") for n, line in lines if line.strip()]
        files = sorted(file for file in folder.rglob("*") if file.suffix.lower().lstrip(".") in ENDINGS)
        return [_Entry(file, file.with_suffix(".txt")) for file in files if file.with_suffix(".txt").is_file()]

    def _row(self, folder: Path, line: str, place: str) -> _Entry:
        try:
            row = json.loads(line)
            file, caption = row.get("file", row.get("file_name")), row.get("caption", row.get("text"))
        except (ValueError, AttributeError) as error:
            raise UserError(f"{self.key}={self.path}: {place} cannot be read ({error}); say {WAYS}") from None
        if not isinstance(file, str) or not isinstance(caption, str):
            raise UserError(f"{self.key}={self.path}: {place} has no file, or no caption; say {WAYS}")
        if not (folder / file).is_file():
            raise UserError(f"{self.key}={self.path}: {place} names {file}, which is not there")
        return _Entry(folder / file, caption)


def read_picture(file: Path, size: int) -> UInt8[Tensor, "size size 3"]:
    """One that needs no caption, scaled and cut like the others. OSError or ValueError says what is wrong with it."""
    try:
        return _square(_read(file), size)
    except (SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(str(error)) from error


def _of_tar(tar: Path, key: str) -> list[_Entry]:
    samples = [parts for _, parts in sorted(read_samples(tar, key).items())]
    pictures = [next((parts[e] for e in ENDINGS if e in parts), None) for parts in samples]
    captions = [parts.get("txt", parts.get("json")) for parts in samples]
    return [_Entry(p, c) for p, c in zip(pictures, captions, strict=True) if p is not None and c is not None]


def _read(file: Path | Member) -> bytes:
    if isinstance(file, Path) and file.stat().st_size > LARGEST:
        raise ValueError(f"it is larger than {LARGEST} bytes")
    return file.read_bytes() if isinstance(file, Path) else file.read()


def _caption(found: str | Path | Member) -> str:
    if isinstance(found, str):
        return found.strip()
    text = _read(found).decode("utf-8-sig")
    caption = json.loads(text)["caption"] if found.name.endswith(".json") else text
    if not isinstance(caption, str):
        raise ValueError(f"{found.name} has no caption")
    return caption.strip()


def _square(content: bytes, size: int) -> UInt8[Tensor, "h w 3"]:
    """As it is meant to be seen: turned as its EXIF says, and over white where it is transparent."""
    with Image.open(io.BytesIO(content)) as image:
        if image.width * image.height > MOST_PIXELS:
            raise ValueError(f"it is {image.width} x {image.height} pixels, more than {MOST_PIXELS}")
        upright = ImageOps.exif_transpose(image)
        if upright.has_transparency_data:
            upright = upright.convert("RGBA")
            upright = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright)
        small = ImageOps.fit(upright.convert("RGB"), (size, size), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(small))
