"""What a file of weights is, by a few of its bytes. Imports nothing heavy, so that a wrong file is told at once."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Literal

Format = Literal["safetensors", "torch", "old torch"]
AGAIN = "; download it again"
LONGEST_HEADER = 100_000_000  # bytes, of safetensors: more the library reads neither


def file_format(file: Path) -> Format:
    """Raises ValueError with the end of a sentence "this is a file ..."."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        start = stream.read(1024)
    if size < 16:
        raise ValueError(f"of {size} bytes{AGAIN}")
    if start.startswith(b"PK"):
        if not zipfile.is_zipfile(file):
            raise ValueError(f"that ends too early, after {size:,} bytes{AGAIN}")
        return "torch"
    if start[0] == 0x80:  # how a pickle begins
        return "old torch"
    if start[8:9] == b"{":
        _check_safetensors(file, size)
        return "safetensors"
    if start.lstrip()[:1] == b"<":
        raise ValueError(f"that holds a web page, not weights{AGAIN}, from the link that says download")
    if start.startswith(b"version https://git-lfs"):
        raise ValueError("that only points at the weights: say git lfs pull where you cloned it")
    raise ValueError("that holds no weights: neither safetensors nor what torch.save writes")


def _check_safetensors(file: Path, size: int) -> None:
    """The format: 8 bytes with the length of a header in JSON, which says where in the rest each tensor stands."""
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        header = stream.read(length) if length < min(size, LONGEST_HEADER) else b""
    if 8 + length > size:
        raise ValueError(f"that ends too early, after {size:,} bytes{AGAIN}")
    try:
        tensors = json.loads(header)
        ends = [value["data_offsets"][1] for name, value in tensors.items() if name != "__metadata__"]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        ends = [None]
    if not all(type(end) is int and end >= 0 for end in ends):
        raise ValueError(f"that is damaged: its header does not say where its tensors are{AGAIN}")
    if 8 + length + max(ends, default=0) > size:
        raise ValueError(f"that ends too early, after {size:,} bytes{AGAIN}")
