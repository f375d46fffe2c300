"""Captioned pictures, from a folder or from tar files as LAION's downloaders write them."""

from __future__ import annotations

import io
import os
import struct
import zlib
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from data.errors import UserError
from data.ranges import PositiveInt
from data.reading import LARGEST_TABLE, is_inside, leads_into, parse_table, read_text
from data.tars import LARGEST, Member, Samples, written

ENDINGS = ("jpg", "jpeg", "png", "webp")
FORMATS = ("JPEG", "PNG", "WEBP")  # whatever the name says; of others, one runs Ghostscript
TABLES = ("captions.jsonl", "metadata.jsonl")
MOST_PIXELS = 2**26  # of a picture
DAMAGED = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    SyntaxError,
    EOFError,
    ArithmeticError,
    struct.error,
    zlib.error,
    MemoryError,
)
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
        tars = [Path(path)] if Path(path).is_file() else sorted(Path(path).glob("[!.]*.tar"))  # no drafts
        self.entries: Sequence[_Entry] = _InTars(tars, key) if tars else self._of_folder()
        if not len(self.entries):
            raise UserError(f"{key}={path} holds no picture with a caption: say a folder with {WAYS}")

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> CaptionedPicture:
        return CaptionedPicture(self.image(index), self.caption(index), self.entries[index].source)

    @contextmanager
    def _telling_of(self, entry: _Entry) -> Iterator[None]:
        """UserError with the name of what cannot be read."""
        try:
            yield
        except (*DAMAGED, Image.DecompressionBombError) as error:
            why = "it is no picture" if isinstance(error, UnidentifiedImageError) else error
            raise UserError(f"{self.key}={self.path}: {entry.source} cannot be read ({why}); leave it out") from error

    def image(self, index: int) -> UInt8[Tensor, "size size 3"]:
        """Without the caption."""
        with self._telling_of(self.entries[index]):
            return _square(read_within(self.entries[index].picture), self.size)

    def caption(self, index: int) -> str:
        """Without the picture."""
        with self._telling_of(self.entries[index]):
            return _caption(self.entries[index].caption)

    @property
    def settings(self) -> tuple[object, ...]:
        """What changes with the pictures, as far as can be told without reading them; captions are read quickly."""
        if isinstance(self.entries, _InTars):
            return self.size, self.entries.samples.fingerprint
        return self.size, [(one.source, *written(one.source)) for one in self.entries]

    def _of_folder(self) -> list[_Entry]:
        folder = Path(self.path)
        table = next((folder / name for name in TABLES if (folder / name).is_file()), None)
        if table is not None:
            lines = enumerate(self._lines(table), 1)
            return [self._row(folder, line, f"{table}, line {n}") for n, line in lines if line.strip()]
        files = sorted(file for file in folder.rglob("*") if file.suffix.lower().lstrip(".") in ENDINGS)
        found = [(file, file.with_suffix(".txt")) for file in files if file.with_suffix(".txt").is_file()]
        for file in (file for pair in found for file in pair):
            if not leads_into(file, folder):
                raise UserError(
                    f"{self.key}={self.path}: {file} is a link out of the folder; put the file in its place"
                )
        return [_Entry(picture, caption) for picture, caption in found if picture.is_file()]

    def _lines(self, table: Path) -> list[str]:
        try:
            return read_text(table, LARGEST_TABLE).split("\n")
        except (OSError, ValueError) as error:
            raise UserError(f"{self.key}={self.path}: {table} cannot be read (it {error}); say {WAYS}") from None

    def _row(self, folder: Path, line: str, place: str) -> _Entry:
        try:
            row = parse_table(line)
        except ValueError as error:
            raise UserError(f"{self.key}={self.path}: {place} cannot be read (it {error}); say {WAYS}") from None
        file, caption = row.get("file", row.get("file_name")), row.get("caption", row.get("text"))
        if not isinstance(file, str) or not isinstance(caption, str):
            raise UserError(f"{self.key}={self.path}: {place} has no file, or no caption; say {WAYS}")
        if not is_inside(file, folder):
            raise UserError(f"{self.key}={self.path}: {place} names {file[:200]}, which is not in the folder")
        if not os.path.isfile(folder / file):  # False also for a name that no file can have
            raise UserError(f"{self.key}={self.path}: {place} names {file[:200]}, which is not there")
        return _Entry(folder / file, caption)


class _InTars(Sequence[_Entry]):
    """Of each tar file those with a caption, in the order of their names."""

    def __init__(self, tars: Sequence[Path], key: str) -> None:
        self.samples = Samples(tars, key)
        told = (i for i in range(len(self.samples)) if all(_told(self.samples.endings(i))))
        self.order = array("q", sorted(told, key=lambda i: (self.samples.tar(i), self.samples.names[i])))

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: int) -> _Entry:  # type: ignore[override]  # there are no slices of it
        parts = self.samples[self.order[index]]
        picture, caption = _told(tuple(parts))
        assert picture is not None and caption is not None
        return _Entry(parts[picture], parts[caption])


def _told(endings: Sequence[str]) -> tuple[str | None, str | None]:
    """Which members are the picture and its caption."""
    first = lambda wanted: next((ending for ending in wanted if ending in endings), None)
    return first(ENDINGS), first(("txt", "json"))


def read_picture(file: Path, size: int) -> UInt8[Tensor, "size size 3"]:
    """One that needs no caption, scaled and cut like the others. OSError or ValueError says what is wrong with it."""
    with _one_error():
        return _square(read_within(file), size)


def read_cutout(file: Path, size: int) -> UInt8[Tensor, "size size 4"]:
    """The same with its transparency: 255 everywhere, if it has none."""
    with _one_error():
        return _square(read_within(file), size, "RGBA")


@contextmanager
def _one_error() -> Iterator[None]:
    try:
        yield
    except (*DAMAGED, Image.DecompressionBombError) as error:
        raise ValueError(str(error)) from error


def read_within(file: Path | Member) -> bytes:
    """ValueError, if it is larger than any picture."""
    if isinstance(file, Path) and file.stat().st_size > LARGEST:
        raise ValueError(f"it is larger than {LARGEST} bytes")
    return file.read_bytes() if isinstance(file, Path) else file.read()


def _caption(found: str | Path | Member) -> str:
    caption: object = found
    if not isinstance(found, str):
        text = read_within(found).decode("utf-8-sig")
        caption = parse_table(text).get("caption") if found.name.endswith(".json") else text
    if not isinstance(caption, str) or not caption.strip():
        raise ValueError("it has no caption")
    return caption.strip()


@contextmanager
def opened(content: bytes, formats: tuple[str, ...] = FORMATS) -> Iterator[Image.Image]:
    """ValueError before its pixels are unpacked, if there are too many."""
    with Image.open(io.BytesIO(content), formats=formats) as image:
        if image.width * image.height > MOST_PIXELS:
            raise ValueError(f"it is {image.width} x {image.height} pixels, more than {MOST_PIXELS}")
        yield image


def _square(content: bytes, size: int, mode: Literal["RGB", "RGBA"] = "RGB") -> UInt8[Tensor, "h w c"]:
    """As it is meant to be seen: turned as its EXIF says, and in RGB over white where it is transparent."""
    with opened(content) as image:
        upright = _eight_bits(ImageOps.exif_transpose(image))
        if upright.has_transparency_data and mode == "RGB":
            upright = upright.convert("RGBA")
            upright = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright)
        small = ImageOps.fit(upright.convert(mode), (size, size), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(small))


def _eight_bits(image: Image.Image) -> Image.Image:
    """Pillow would cut off all of 16 bits that is above 255."""
    return Image.fromarray((np.array(image) >> 8).astype(np.uint8)) if image.mode.startswith("I;16") else image
