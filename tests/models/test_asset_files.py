"""What other programs read in our files: two independent readers of each format, an object unlike itself all around."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import assimp_py
import numpy as np
import pygltflib
import pytest
import torch
import trimesh
from PIL import Image

from models.asset import Asset, look_up
from models.gltf import glb_bytes
from models.ply import ply_bytes
from models.triangles import Triangles
from models.unwrapping import grid
from models.wavefront import wavefront_files


@dataclass
class Read:
    """As the reader gives it; uv from the lower left."""

    vertices: np.ndarray
    faces: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    image: Image.Image

    def color(self, direction: tuple[float, float, float]) -> np.ndarray:
        """That the texture has in the middle of the faces which look that way."""
        a, b, c = self.vertices[self.faces].swapaxes(0, 1)
        outward = np.cross(b - a, c - a)
        outward /= np.linalg.norm(outward, axis=1, keepdims=True)
        u, v = self.uv[self.faces][outward @ direction > 0.99].mean(axis=(0, 1))
        pixels = np.asarray(self.image.convert("RGB"))
        return pixels[int((1 - v) * pixels.shape[0]), int(u * pixels.shape[1])] / 255


def by_trimesh(path: Path) -> Read:
    mesh = trimesh.load_mesh(path, process=False)
    material = mesh.visual.material
    image = material.baseColorTexture if path.suffix == ".glb" else material.image
    return Read(mesh.vertices, mesh.faces, mesh.vertex_normals, mesh.visual.uv, image)


def by_assimp(path: Path) -> Read:
    scene = assimp_py.import_file(str(path), assimp_py.Process_Triangulate)
    (mesh,) = scene.meshes
    rows = lambda memory: np.array(memory, dtype=float).reshape(mesh.num_vertices, -1)
    name = scene.materials[mesh.material_index]["TEXTURE_BASE"]
    image = pictures(path)[int(name[1:])] if name.startswith("*") else Image.open(path.with_name(name))
    faces = np.array(mesh.indices).reshape(-1, 3)
    return Read(rows(mesh.vertices), faces, rows(mesh.normals), rows(mesh.texcoords[0])[:, :2], image)


def pictures(path: Path) -> list[Image.Image]:
    """Inside a GLB."""
    file = pygltflib.GLTF2().load(str(path))
    views = [file.bufferViews[image.bufferView] for image in file.images]
    return [Image.open(io.BytesIO(file.binary_blob()[v.byteOffset : v.byteOffset + v.byteLength])) for v in views]


def save(asset: Asset, path: Path) -> Path:
    files = {".glb": lambda: {path.name: glb_bytes(asset)}, ".ply": lambda: {path.name: ply_bytes(asset)}}
    for name, content in files.get(path.suffix, lambda: wavefront_files(asset, path.stem))().items():
        path.with_name(name).write_bytes(content)
    return path


@pytest.mark.parametrize("read", [by_trimesh, by_assimp])
@pytest.mark.parametrize("suffix", [".glb", ".obj"])
def test_y_is_up_and_z_the_front_in_metres_with_each_side_in_its_colour(
    suffix: str, read: Callable[[Path], Read], box: Asset, tmp_path: Path
) -> None:
    found = read(save(box, tmp_path / f"mesh{suffix}"))
    np.testing.assert_allclose(found.vertices.min(axis=0), [0.0, 0.2, -0.4], atol=1e-6)
    np.testing.assert_allclose(found.vertices.max(axis=0), [0.4, 0.4, 0.6], atol=1e-6)
    front, left, top, behind = (0, 0, 1), (1, 0, 0), (0, 1, 0), (0, 0, -1)
    sides = [found.color(side) for side in (front, left, top, behind)]
    np.testing.assert_allclose(sides, [(0.8, 0.1, 0.1), (0.1, 0.1, 0.8), (0.1, 0.6, 0.1), (0, 0, 0)], atol=0.003)


@pytest.mark.parametrize("read", [by_trimesh, by_assimp])
@pytest.mark.parametrize("suffix", [".glb", ".obj"])
def test_faces_and_normals_look_outward(suffix: str, read: Callable[[Path], Read], box: Asset, tmp_path: Path) -> None:
    found = read(save(box, tmp_path / f"mesh{suffix}"))
    a, b, c = found.vertices[found.faces].swapaxes(0, 1)
    assert (np.cross(a, b) * c).sum() / 6 == pytest.approx(1.0 * 0.4 * 0.2, rel=1e-4)
    outward = found.vertices - found.vertices.mean(axis=0)
    assert ((found.normals * outward).sum(axis=1) > 0).all()
    np.testing.assert_allclose(np.linalg.norm(found.normals, axis=1), 1, atol=1e-3)


def test_ply_keeps_the_worlds_axes_and_has_display_colours_at_single_vertices(box: Asset, tmp_path: Path) -> None:
    path = save(box, tmp_path / "mesh.ply")
    mesh = trimesh.load_mesh(path, process=False)
    (same,) = assimp_py.import_file(str(path), assimp_py.Process_Triangulate).meshes
    np.testing.assert_allclose(np.array(same.vertices).reshape(-1, 3), mesh.vertices)
    assert len(mesh.vertices) == same.num_vertices == 8 and mesh.is_watertight and mesh.volume == pytest.approx(0.08)
    np.testing.assert_allclose(mesh.bounds, [[-0.4, 0.0, 0.2], [0.6, 0.4, 0.4]], atol=1e-6)
    corner = mesh.visual.vertex_colors[np.argmax(mesh.vertices @ [1, 1, 1])]
    front_left_top = np.mean([(0.8, 0.1, 0.1), (0.1, 0.1, 0.8), (0.1, 0.6, 0.1)], axis=0)
    np.testing.assert_allclose(corner[:3] / 255, front_left_top, atol=0.003)


def test_an_unlit_glb_is_matt_to_readers_that_do_not_know_the_word(box: Asset, tmp_path: Path) -> None:
    file = pygltflib.GLTF2().load(str(save(box, tmp_path / "mesh.glb")))
    (material,) = file.materials
    assert file.extensionsUsed == ["KHR_materials_unlit"] and material.extensions == {"KHR_materials_unlit": {}}
    look = material.pbrMetallicRoughness
    assert (look.metallicFactor, look.roughnessFactor, look.metallicRoughnessTexture) == (0.0, 1.0, None)
    assert not file.extensionsRequired and file.asset.generator == "fourview"


def test_a_lit_glb_has_roughness_in_green_and_metallic_in_blue(box: Asset, tmp_path: Path) -> None:
    texture = torch.stack([torch.full((16, 24), 0.25), torch.full((16, 24), 0.75)], dim=-1)
    path = save(replace(box, roughness_metallic=texture), tmp_path / "mesh.glb")
    file = pygltflib.GLTF2().load(str(path))
    look = file.materials[0].pbrMetallicRoughness
    assert not file.extensionsUsed and (look.metallicFactor, look.roughnessFactor) == (1.0, 1.0)
    color, shine = (
        pictures(path)[file.textures[t.index].source] for t in (look.baseColorTexture, look.metallicRoughnessTexture)
    )
    assert shine.getpixel((0, 0)) == (0, 64, 191) and color.size == (24, 16)


def test_a_lit_obj_has_a_grey_picture_of_each(box: Asset) -> None:
    texture = torch.stack([torch.full((16, 24), 0.25), torch.full((16, 24), 0.75)], dim=-1)
    files = wavefront_files(replace(box, roughness_metallic=texture), "toy")
    assert files.keys() == {"toy.obj", "toy.mtl", "toy.png", "toy_roughness.png", "toy_metallic.png"}
    assert b"map_Pr toy_roughness.png\nmap_Pm toy_metallic.png" in files["toy.mtl"]
    assert Image.open(io.BytesIO(files["toy_roughness.png"])).getpixel((0, 0)) == 64


def test_a_glb_is_what_the_standard_asks_for(box: Asset, tmp_path: Path) -> None:
    """Lengths in the headers, aligned views within the buffer, bounds of the positions, indices within the vertices."""
    path = save(box, tmp_path / "mesh.glb")
    content, file = path.read_bytes(), pygltflib.GLTF2().load(str(path))
    assert int.from_bytes(content[8:12], "little") == len(content)
    assert all(
        v.byteOffset % 4 == 0 and v.byteOffset + v.byteLength <= file.buffers[0].byteLength for v in file.bufferViews
    )
    attributes = file.meshes[0].primitives[0].attributes
    counts = {file.accessors[i].count for i in (attributes.POSITION, attributes.NORMAL, attributes.TEXCOORD_0)}
    assert counts == {24} and file.accessors[file.meshes[0].primitives[0].indices].max == [23.0]
    np.testing.assert_allclose(file.accessors[attributes.POSITION].max, [0.4, 0.4, 0.6], atol=1e-6)
    (camera,) = [node for node in file.nodes if node.camera is not None]
    assert camera.translation[:2] == [0, 0] and camera.translation[2] > 1, "viewers look at the front first"


def test_the_lookup_of_a_texel_centre_is_the_texel() -> None:
    texture = torch.rand(3, 5, 2, generator=torch.Generator().manual_seed(0))
    centers = torch.tensor([[(j + 0.5) / 5, (i + 0.5) / 3] for i in range(3) for j in range(5)])
    torch.testing.assert_close(look_up(texture, centers), texture.view(15, 2))
    halfway = torch.tensor([[0.2, 0.5 / 3]])
    torch.testing.assert_close(look_up(texture, halfway)[0], (texture[0, 0] + texture[0, 1]) / 2)


@pytest.mark.parametrize("suffix", [".glb", ".obj", ".ply"])
def test_300_000_faces_are_written_and_read_back(suffix: str, tmp_path: Path) -> None:
    ball = trimesh.creation.icosphere(7, radius=0.4)
    surface = Triangles(torch.from_numpy(ball.vertices).float(), torch.from_numpy(ball.faces))
    found = grid(surface, 64)
    points = surface.vertices[found.vertex]
    asset = Asset(points, found.faces, surface.vertex_normals()[found.vertex], found.uv, torch.full((8, 8, 3), 0.5))
    path = save(asset, tmp_path / f"mesh{suffix}")
    assert len(trimesh.load_mesh(path, process=False).faces) == 327_680


def test_only_what_is_not_closed_is_seen_from_behind(box: Asset) -> None:
    for asset, both in ((box, False), (replace(box, faces=box.faces[1:]), True)):
        file = pygltflib.GLTF2.load_from_bytes(glb_bytes(asset))
        assert file.materials[0].doubleSided is both
