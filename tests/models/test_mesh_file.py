"""Meshes of others, before the library that reads them believes what they say."""

from __future__ import annotations

import base64
import io
import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image
from trimesh.visual import TextureVisuals

import models.mesh_file
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


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n"
PNG = io.BytesIO()
Image.new("RGB", (2, 2)).save(PNG, "PNG")


def gltf(n_faces: int, nodes: list[int], image: bytes | io.BytesIO | None = None) -> str:
    """One triangle so many times in a mesh, which is so many times in the scene."""
    within = lambda content: f"data:application/octet-stream;base64,{base64.b64encode(content).decode()}"
    data = struct.pack("<9f6f", 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1) + struct.pack("<3H", 0, 1, 2) * n_faces
    primitive = {"attributes": {"POSITION": 0, "TEXCOORD_0": 1}, "indices": 2, "material": 0}
    views = [(0, 36, "VEC3", 5126, 3), (36, 24, "VEC2", 5126, 3), (60, 6 * n_faces, "SCALAR", 5123, 3 * n_faces)]
    scene: dict[str, object] = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": list(range(len(nodes)))}],
        "nodes": [{"mesh": mesh} for mesh in nodes],
        "meshes": [{"primitives": [primitive]}],
        "buffers": [{"byteLength": len(data), "uri": within(data)}],
        "bufferViews": [{"buffer": 0, "byteOffset": at, "byteLength": size} for at, size, *_ in views],
        "accessors": [
            {"bufferView": i, "type": kind, "componentType": number, "count": count}
            for i, (_, _, kind, number, count) in enumerate(views)
        ],
        "materials": [{}],
    }
    if image:
        scene["images"] = [{"uri": within(image if isinstance(image, bytes) else image.getvalue())}]
        scene |= {
            "textures": [{"source": 0}],
            "materials": [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}],
        }
    return json.dumps(scene)


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


def eps_in(folder: Path) -> list[Path]:
    """Meshes of one triangle, whose texture is a program for Ghostscript."""
    (folder / "e.png").write_bytes(EPS)
    (folder / "a.mtl").write_text("newmtl m\nmap_Kd e.png\n")
    (folder / "a.obj").write_text("mtllib a.mtl\nusemtl m\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nf 1/1 2/1 3/1\n")
    (folder / "a.gltf").write_text(gltf(1, [0], EPS))
    return [folder / "a.obj", folder / "a.gltf"]


def test_a_texture_for_ghostscript_starts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gs").write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    (tmp_path / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    for file in eps_in(tmp_path):
        assert len(read_triangles(str(file), 0.5, True, "geometry.path").faces) == 1
        with pytest.raises(UnreadableError, match="a texture is EPS"):
            read_painted(str(file), True, "auto", 64)
    assert not (tmp_path / "started").exists()


def test_a_shape_needs_no_texture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.gltf").write_text(gltf(1, [0, 0], PNG))
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("it unpacks a texture"))
    assert len(read_triangles(str(tmp_path / "a.gltf"), 0.5, True, "geometry.path").faces) == 1


def test_a_mesh_that_its_scene_repeats_does_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.gltf").write_text(gltf(50, [0] * 40))
    assert len(read_painted(str(tmp_path / "a.gltf"), True, "auto", 64).surface.faces) == 2000
    monkeypatch.setattr(models.mesh_file, "MOST_IN_SCENE", 1999)
    with pytest.raises(UnreadableError, match=r"its scene has 2,000 faces, more than 1,999"):
        read_painted(str(tmp_path / "a.gltf"), True, "auto", 64)
    with pytest.raises(UserError, match=r"its scene has 2,000 faces, more than 1,999"):
        read_triangles(str(tmp_path / "a.gltf"), 0.5, True, "geometry.path")


def test_a_texture_that_may_not_be_read_is_left_out_in_silence(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.ply").write_text(
        "ply\nformat ascii 1.0\ncomment TextureFile ../../etc/passwd\nelement vertex 3\nproperty float x\n"
        "property float y\nproperty float z\nproperty float s\nproperty float t\nelement face 1\n"
        "property list uchar int vertex_indices\nend_header\n0 0 0 0 0\n1 0 0 0 0\n0 1 0 0 0\n3 0 1 2\n"
    )
    assert len(read_painted(str(tmp_path / "a.ply"), True, "auto", 64).surface.faces) == 1
    assert not caplog.records
