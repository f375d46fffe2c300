"""Files of meshes, checked before they are given to the library that reads them, which believes all that they say of
their size."""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from data.captioned_assets import ENDINGS
from data.reading import LARGEST_JSON, parse_table

if TYPE_CHECKING:
    import trimesh

LARGEST = 2**31  # bytes of a mesh
MOST_ELEMENTS = 2**26  # that an accessor of glTF may say it has: vertices, or corners of triangles
MOST_IN_SCENE = 2**23  # triangles, and vertices: a scene may repeat one mesh of its file as often as it likes


@dataclass(frozen=True)
class PlacedMesh:
    """A mesh with its textures, which nobody has unpacked yet, and where the scene has it."""

    mesh: trimesh.Trimesh
    transform: Float[np.ndarray, "4 4"]

    @property
    def vertices(self) -> Float[np.ndarray, "v 3"]:
        """In the scene."""
        return np.asarray(self.mesh.vertices) @ self.transform[:3, :3].T + self.transform[:3, 3]

    @property
    def faces(self) -> Int[np.ndarray, "f 3"]:
        return np.asarray(self.mesh.faces, np.int64)


def read_meshes(path: Path) -> list[PlacedMesh]:
    """Every triangle mesh of a file, as often as its scene has it. What a damaged file raises, may be anything."""
    import trimesh

    check_mesh_file(path)
    with _quiet():
        scene = trimesh.load_scene(str(path), process=False)
    nodes = [(np.asarray(transform), name) for transform, name in map(scene.graph.get, scene.graph.nodes_geometry)]
    meshes = {name: mesh for name, mesh in scene.geometry.items() if isinstance(mesh, trimesh.Trimesh)}
    found = [PlacedMesh(meshes[name], transform) for transform, name in nodes if name in meshes]
    found = [one for one in found if len(one.mesh.faces)]
    for kind in ("faces", "vertices"):
        count = sum(len(getattr(one.mesh, kind)) for one in found)
        if count > MOST_IN_SCENE:
            raise ValueError(f"its scene has {count:,} {kind}, more than {MOST_IN_SCENE:,}")
    for one in found:
        _check_corners(one)
    return found


def _check_corners(one: PlacedMesh) -> None:
    if not np.isfinite(one.vertices).all():
        raise ValueError("not all its coordinates are numbers")
    if int(one.faces.max()) >= len(one.mesh.vertices) or int(one.faces.min()) < 0:
        raise ValueError("it has triangles without corners")


@contextmanager
def _quiet() -> Iterator[None]:
    """A texture that may not be read is left out, which trimesh tells with a traceback."""
    logger = logging.getLogger("trimesh")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


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
