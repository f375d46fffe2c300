"""Meshes of others, before the library that reads them believes what they say."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image
from trimesh.visual import TextureVisuals

import models.painted_file
from data.errors import UserError
from models.mesh_file import MOST_ELEMENTS, check_mesh_file
from models.painted_file import UnreadableError, read_painted
from models.shapes import read_triangles


def glb(count: object) -> bytes:
    """One accessor that has no data, which is as good as so many zeros."""
    text = json.dumps({"asset": {"version": "2.0"}, "accessors": [{"count": count, "componentType": 5126}]}).encode()
    text += b" " * (-len(text) % 4)
    return struct.pack("<4sIII4s", b"glTF", 2, 20 + len(text), len(text), b"JSON") + text


@pytest.mark.parametrize("count", [10**15, MOST_ELEMENTS + 1, -1, "many", None])
def test_a_count_that_would_fill_the_memory_is_refused(tmp_path: Path, count: object) -> None:
    (tmp_path / "a.glb").write_bytes(glb(count))
    with pytest.raises(UserError, match=r"shape\.path=.*a\.glb cannot be read as a mesh \(an accessor says"):
        read_triangles(str(tmp_path / "a.glb"), 0.5, True, "shape.path")
    with pytest.raises(UnreadableError, match="an accessor says"):
        read_painted(str(tmp_path / "a.glb"), True, "auto", 64)


@pytest.mark.parametrize("name", ["a.zip", "a.bz2", "a", "a.xyz", "a.glb.tar.gz"])
def test_archives_are_no_meshes(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x" * 40)
    with pytest.raises(ValueError, match="is none of"):
        check_mesh_file(tmp_path / name)


def test_a_large_file_is_not_opened(tmp_path: Path) -> None:
    with (tmp_path / "a.obj").open("wb") as file:
        file.truncate(2**40)  # a hole
    with pytest.raises(ValueError, match="larger than"):
        check_mesh_file(tmp_path / "a.obj")


@pytest.mark.parametrize("ending", ["glb", "gltf", "obj", "ply", "stl"])
def test_noise_ends_in_a_sentence(tmp_path: Path, ending: str) -> None:
    for seed in range(5):
        (tmp_path / f"a.{ending}").write_bytes(np.random.default_rng(seed).bytes(10 + 60 * seed))
        with pytest.raises(UserError, match=r"geometry\.path=.*(cannot be read as a mesh|holds no triangles)"):
            read_triangles(str(tmp_path / f"a.{ending}"), 0.5, True, "geometry.path")


def test_a_texture_that_is_too_large_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = trimesh.creation.box()
    box.visual = TextureVisuals(uv=np.zeros((len(box.vertices), 2)), image=Image.new("RGB", (64, 64)))
    box.export(tmp_path / "a.glb")
    assert read_painted(str(tmp_path / "a.glb"), True, "auto", 64).pictures
    monkeypatch.setattr(models.painted_file, "MOST_PIXELS", 1000)
    with pytest.raises(UnreadableError, match="a texture is 64 x 64 pixels"):
        read_painted(str(tmp_path / "a.glb"), True, "auto", 64)


def test_a_material_outside_of_the_folder_is_not_read(tmp_path: Path) -> None:
    Image.new("RGB", (2, 2), "red").save(tmp_path / "secret.png")
    (tmp_path / "mine").mkdir()
    triangle = "mtllib a.mtl\nusemtl m\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nf 1/1 2/1 3/1\n"
    (tmp_path / "mine" / "a.obj").write_text(triangle)
    for path, found in (("../secret.png", 0), (str(tmp_path / "secret.png"), 0), ("b.png", 1)):
        (tmp_path / "mine" / "a.mtl").write_text(f"newmtl m\nmap_Kd {path}\n")
        if found:
            (tmp_path / "secret.png").rename(tmp_path / "mine" / "b.png")
        assert len(read_painted(str(tmp_path / "mine" / "a.obj"), True, "auto", 64).pictures) == found
