"""Whether a file may be given to the library that reads meshes, which believes all that it says of its size."""

from __future__ import annotations

import struct
from pathlib import Path

from data.captioned_assets import ENDINGS
from data.reading import LARGEST_JSON, parse_table

LARGEST = 2**31  # bytes of a mesh
MOST_ELEMENTS = 2**26  # that an accessor of glTF may say it has: vertices, or corners of triangles


def check_mesh_file(path: Path) -> None:
    """ValueError if it is no kind of mesh, too large, or says that it holds more than it can."""
    if path.suffix.lower() not in ENDINGS:
        raise ValueError(f"{path.suffix or 'a name without an ending'} is none of {', '.join(ENDINGS)}")
    size = path.stat().st_size
    if size > LARGEST:
        raise ValueError(f"it is larger than {LARGEST:,} bytes")
    if path.suffix.lower() in (".glb", ".gltf"):
        _check_counts(path, size)


def _check_counts(path: Path, size: int) -> None:
    accessors = parse_table(_description(path, size)).get("accessors", [])
    if not isinstance(accessors, list):
        raise ValueError("its JSON is no glTF")
    for accessor in accessors:
        count = accessor.get("count") if isinstance(accessor, dict) else None
        if not isinstance(count, int) or not 0 <= count <= MOST_ELEMENTS:
            raise ValueError(f"an accessor says that it has {count} elements")


def _description(path: Path, size: int) -> bytes:
    """The JSON of glTF, which in a GLB is its first chunk."""
    with path.open("rb") as file:
        start = file.read(20)
        if start[:4] != b"glTF":
            file.seek(0)
            start, length = b"", size
        else:
            length = struct.unpack("<I", start[12:16])[0] if len(start) == 20 else size + 1
        if length > min(size, LARGEST_JSON):
            raise ValueError("its JSON is longer than the file, or than any")
        return file.read(length)
