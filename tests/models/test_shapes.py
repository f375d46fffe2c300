from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from jaxtyping import Float
from torch import Tensor

from data.errors import UserError
from models.asset import Asset
from models.gltf import glb_bytes
from models.shapes import Ellipsoid, MeshShape, Shape, Sphere, read_triangles, signed_distance
from models.triangles import Triangles


@pytest.fixture
def points(rng: torch.Generator) -> Float[Tensor, "n 3"]:
    return torch.rand(500, 3, generator=rng) * 1.2 - 0.6


def box_file(path: Path, hole: bool = False) -> str:
    """A box that is 0.2 wide along the file's x, 0.4 along y, 0.6 along z, away from the origin."""
    box = trimesh.creation.box((0.2, 0.4, 0.6))
    box.apply_translation((5.0, 6.0, 7.0))
    if hole:
        box.update_faces([face != 0 for face in range(len(box.faces))])
    box.export(path)
    return str(path)


def box_distance(x: Float[Tensor, "n 3"], half: Float[Tensor, "3"]) -> Float[Tensor, "n"]:
    q = x.abs() - half
    return q.clamp(min=0).norm(dim=1) + q.amax(dim=1).clamp(max=0)


def test_a_sphere_is_the_distance_to_its_surface(points: Float[Tensor, "n 3"]) -> None:
    torch.testing.assert_close(Sphere(0.25)(points), points.norm(dim=1) - 0.25)


def test_a_round_ellipsoid_is_a_sphere_also_at_its_centre(points: Float[Tensor, "n 3"]) -> None:
    points = torch.cat([points, torch.zeros(1, 3)])
    torch.testing.assert_close(Ellipsoid((0.3, 0.3, 0.3))(points), Sphere(0.3)(points))


def test_an_ellipsoid_is_zero_at_its_radii_and_grows_with_slope_one(rng: torch.Generator) -> None:
    radii = torch.tensor([0.4, 0.2, 0.3])
    unit = torch.nn.functional.normalize(torch.randn(100, 3, generator=rng), dim=1)
    on = unit * radii
    normal = torch.nn.functional.normalize(unit / radii, dim=1)
    shape = Ellipsoid((0.4, 0.2, 0.3))
    torch.testing.assert_close(shape(on), torch.zeros(100), atol=1e-6, rtol=0)
    torch.testing.assert_close(shape(on + 0.001 * normal), torch.full((100,), 0.001), atol=2e-5, rtol=0)


@pytest.mark.parametrize("suffix", [".obj", ".glb", ".ply", ".stl"])
def test_a_mesh_is_the_distance_to_its_triangles_in_our_axes(
    suffix: str, points: Float[Tensor, "n 3"], tmp_path: Path
) -> None:
    shape = MeshShape(box_file(tmp_path / f"box{suffix}"), size=0.56**0.5)
    half = torch.tensor([0.6, 0.2, 0.4])  # front, left, up: the file's z, x, y
    torch.testing.assert_close(shape(points), box_distance(points, half), atol=1e-6, rtol=0)


def test_a_file_with_our_axes_keeps_them(points: Float[Tensor, "n 3"], tmp_path: Path) -> None:
    shape = MeshShape(box_file(tmp_path / "box.obj"), size=0.56**0.5, z_up=True)
    torch.testing.assert_close(shape(points), box_distance(points, torch.tensor([0.2, 0.4, 0.6])), atol=1e-6, rtol=0)


def test_a_mesh_with_a_hole_still_has_an_inside(tmp_path: Path) -> None:
    shape = MeshShape(box_file(tmp_path / "box.obj", hole=True))
    inside = shape(torch.tensor([[0.0, 0.0, 0.0], [0.1, 0.0, 0.0], [0.6, 0.0, 0.0]])) < 0
    assert inside.tolist() == [True, True, False]


def test_what_is_written_is_read_in_its_place(tmp_path: Path) -> None:
    vertices = torch.tensor([[0.5, 0.0, 0.0], [-0.5, 0.1, 0.0], [0.0, -0.1, 0.2], [0.0, 0.0, -0.2]])
    faces = torch.tensor([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]])
    flat = Asset(vertices, faces, vertices, vertices[:, :2], torch.zeros(2, 2, 3))
    (tmp_path / "mesh.glb").write_bytes(glb_bytes(flat))
    size = vertices.norm(dim=1).max().item()
    found = read_triangles(str(tmp_path / "mesh.glb"), size, False, "path").vertices
    assert torch.cdist(found, vertices).amin(dim=1).max() < 1e-6


def test_vertices_that_a_texture_doubles_are_one_again(tmp_path: Path) -> None:
    box = trimesh.creation.box()
    seams = trimesh.Trimesh(box.vertices[box.faces].reshape(-1, 3), np.arange(36).reshape(12, 3), process=False)
    seams.visual = trimesh.visual.TextureVisuals(uv=np.linspace(0, 1, 72).reshape(36, 2))
    for name in ("seams.glb", "seams.obj"):
        seams.export(tmp_path / name)
        assert len(trimesh.load_mesh(tmp_path / name).vertices) > 8
        surface = read_triangles(str(tmp_path / name), 0.5, False, "path")
        assert len(surface.vertices) == 8 and len(surface.faces) == 12
        assert surface.volume == pytest.approx((2 * 0.5 / 3**0.5) ** 3)


def test_faces_that_are_there_from_both_sides_count_once(tmp_path: Path) -> None:
    box = trimesh.creation.box()
    faces = np.concatenate([box.faces, box.faces[:, ::-1]])
    trimesh.Trimesh(box.vertices, faces, process=False).export(tmp_path / "box.ply")
    surface = read_triangles(str(tmp_path / "box.ply"), 0.5, False, "path")
    assert len(surface.faces) == 12 and surface.volume == pytest.approx((1 / 3**0.5) ** 3)


def test_vertices_of_no_triangle_have_no_say_in_the_size(tmp_path: Path) -> None:
    (tmp_path / "a.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 900\nf 1 2 3\n")
    vertices = read_triangles(str(tmp_path / "a.obj"), 0.5, True, "path").vertices
    assert len(vertices) == 3 and vertices.norm(dim=1).max() == pytest.approx(0.5)


def test_what_a_scene_mirrors_is_still_wound_outward(tmp_path: Path) -> None:
    scene = trimesh.Scene()
    ball = trimesh.creation.icosphere(1)
    ball.apply_translation((3, 0, 0))
    for side in (1, -1):
        scene.add_geometry(ball, transform=np.diag([side, 1, 1, 1]))
    scene.export(tmp_path / "two.glb")
    surface = read_triangles(str(tmp_path / "two.glb"), 0.5, True, "path")
    left = surface.vertices[surface.faces, 0].amax(dim=1) < 0
    halves = [Triangles(surface.vertices, surface.faces[half]).volume for half in (left, ~left)]
    assert 0 < halves[0] == pytest.approx(halves[1])


def test_a_mesh_wound_inward_is_turned(tmp_path: Path) -> None:
    ball = trimesh.creation.icosphere(1)
    ball.invert()
    ball.export(tmp_path / "ball.obj")
    assert read_triangles(str(tmp_path / "ball.obj"), 0.5, False, "path").volume > 0


def test_distance_is_negative_where_triangles_look_outward() -> None:
    ball = trimesh.creation.icosphere(3)
    surface = Triangles(torch.from_numpy(ball.vertices).float(), torch.from_numpy(ball.faces))
    x = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 2.0]])
    torch.testing.assert_close(signed_distance(x, surface), torch.tensor([-1.0, 1.0]), atol=0.01, rtol=0)


def test_shapes_are_shapes() -> None:
    assert isinstance(Sphere(), Shape) and isinstance(Ellipsoid(), Shape)


@pytest.mark.parametrize(
    ("name", "content", "wrong"),
    [
        ("nothing.obj", None, "is not there"),
        ("text.obj", "hello", "holds no triangles"),
        ("line.obj", "v 0 0 0\nv 1 0 0\nv 1 0 0\nf 1 2 3", "holds no triangles"),
        ("text.glb", "hello", "cannot be read"),
        ("text.txt", "hello", "cannot be read"),
    ],
)
def test_a_file_without_a_surface_is_the_users_to_know(
    name: str, content: str | None, wrong: str, tmp_path: Path
) -> None:
    if content:
        (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=f"shape.path=.*{name} {wrong}.* give"):
        MeshShape(str(tmp_path / name))(torch.zeros(1, 3))
