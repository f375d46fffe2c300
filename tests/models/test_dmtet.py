from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import trimesh
from jaxtyping import Float
from torch import Tensor

from data.errors import UserError
from models.dmtet import LockedMesh, Tetrahedra
from models.geometry import ImplicitVolume, SurfaceField
from models.hashgrid import HashGrid
from models.sdf_volume import Laplace, SDFVolume
from models.shapes import Ellipsoid, MeshShape, Sphere
from models.triangles import EmptySurfaceError, Triangles


class Cloud:
    """Adds to the density of a volume whose network is silent: a ball, off the middle, that is opaque inside."""

    def __init__(self, center: tuple[float, float, float] = (0.2, 0.0, -0.1), radius: float = 0.15) -> None:
        self.center, self.radius = torch.tensor(center), radius

    def __call__(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        return 2000 * (self.radius - (x - self.center).norm(dim=1))

    def slope(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        return -2000 * torch.nn.functional.normalize(x - self.center, dim=1)


def field(bias: Cloud | None = None) -> ImplicitVolume:
    encoding = HashGrid(n_levels=2, log2_table_size=8, base_resolution=4, finest_resolution=8, backend="torch")
    return ImplicitVolume(encoding, bias or Cloud(), hidden=8)


def tetrahedra(radius: float = 0.3, resolution: int = 12) -> Tetrahedra:
    return Tetrahedra(field(), Sphere(radius), resolution)


def closed(surface: Triangles) -> bool:
    return trimesh.Trimesh(surface.vertices.detach(), surface.faces, process=False).is_watertight


def test_it_starts_as_its_shape() -> None:
    surface = tetrahedra().surface()
    torch.testing.assert_close(
        surface.vertices.norm(dim=1), torch.full((len(surface.vertices),), 0.3), atol=3e-3, rtol=0
    )
    assert isinstance(tetrahedra(), SurfaceField) and closed(surface) and surface.volume > 0


def test_no_deformation_turns_a_tetrahedron_over(rng: torch.Generator) -> None:
    geometry = tetrahedra(resolution=6)
    with torch.no_grad():
        geometry.deformation.copy_(1e3 * torch.randn(geometry.deformation.shape, generator=rng))
        geometry.high += torch.tensor([0.0, 0.3, 0.6])
    a, b, c, d = geometry.moved().double()[geometry.tets].unbind(dim=1)
    assert torch.linalg.det(torch.stack([b - a, c - a, d - a], dim=1)).min() > 0


def test_even_if_all_is_inside_the_surface_closes_within_the_radius() -> None:
    geometry = tetrahedra(radius=9.0)
    surface = geometry.surface()
    assert closed(surface) and surface.vertices.norm(dim=1).max() < geometry.radius + 1e-3
    assert surface.volume == pytest.approx(4 / 3 * math.pi * geometry.radius**3, rel=0.02)


def test_gradients_reach_distances_and_deformation_near_the_surface_only() -> None:
    geometry = tetrahedra()
    geometry.surface().vertices.square().sum().backward()
    assert geometry.sdf.grad is not None and geometry.deformation.grad is not None
    reached = geometry.sdf.grad != 0
    assert (
        0.05 < reached.float().mean() < 0.5 and geometry.sdf.detach()[reached].abs().max() <= geometry.cell.max() + 1e-6
    )
    assert (geometry.deformation.grad[reached].norm(dim=1) > 0).all()


def test_its_colours_are_those_of_its_field() -> None:
    geometry, x = tetrahedra(), torch.rand(10, 3) - 0.5
    assert torch.equal(geometry.features(x), geometry.field.features(x))


def test_it_takes_the_place_and_the_surface_of_a_volume() -> None:
    source, geometry = field(Cloud()), tetrahedra()
    geometry.start_from(source)
    center = torch.tensor([0.2, 0.0, -0.1])
    expected = source.isosurface(96)
    radius = (expected.vertices - center).norm(dim=1).mean()
    torch.testing.assert_close((geometry.low + geometry.high) / 2, center, atol=0.01, rtol=0)
    torch.testing.assert_close(geometry.high - geometry.low, 2.2 * radius.expand(3), atol=0.01, rtol=0)
    cell = geometry.cell.max()
    distance = ((geometry.places() - center).norm(dim=1) - radius).clamp(-cell, cell)
    torch.testing.assert_close(geometry.sdf.detach(), distance, atol=3e-3, rtol=0)
    assert geometry.surface().volume == pytest.approx(expected.volume, rel=0.01)


def test_a_given_threshold_is_the_surface_it_takes() -> None:
    volumes = []
    for threshold in (1.0, 100.0):
        geometry = tetrahedra()
        geometry.start_from(field(Cloud()), threshold)
        volumes.append(geometry.surface().volume)
    assert volumes[1] < volumes[0]


def test_a_flat_source_gets_a_box_that_is_not_flat() -> None:
    source, geometry = Tetrahedra(field(), Ellipsoid((0.5, 0.3, 0.1)), 24), tetrahedra()
    geometry.start_from(source)
    sides = geometry.high - geometry.low
    torch.testing.assert_close(sides / sides.max(), torch.tensor([1.0, 0.7 / 1.1, 0.5]), atol=0.02, rtol=0)


def test_the_box_is_in_the_state_and_the_grid_is_not() -> None:
    source, copy = tetrahedra(), tetrahedra(radius=0.2)
    source.start_from(field(Cloud()))
    copy.load_state_dict(source.state_dict())
    assert torch.equal(copy.surface().vertices, source.surface().vertices)
    own = {name for name in source.state_dict() if not name.startswith("field.")}
    assert own == {"sdf", "deformation", "low", "high"}


def test_crossings_are_the_edges_that_change_sign_in_cells() -> None:
    geometry = tetrahedra()
    ends = geometry.crossings()
    assert ((ends[:, 0] < 0) != (ends[:, 1] < 0)).all() and len(ends) > 500
    edge = (geometry.places()[geometry.edges[:, 0]] - geometry.places()[geometry.edges[:, 1]]).norm(dim=1).max()
    assert ends.abs().max() <= edge / geometry.cell.max()


def test_nothing_inside_is_an_empty_surface_with_a_remedy() -> None:
    geometry = tetrahedra()
    with torch.no_grad():
        geometry.sdf.fill_(0.1)
    with torch.no_grad():
        assert len(geometry.surface().faces) == 0
    for take in (geometry.surface, lambda: geometry.isosurface(32)):
        with pytest.raises(EmptySurfaceError, match="larger shape"):
            take()


def test_a_locked_mesh_learns_nothing_but_its_colours(tmp_path: Path) -> None:
    trimesh.creation.icosphere(2).export(tmp_path / "ball.obj")
    mesh = LockedMesh(str(tmp_path / "ball.obj"), field())
    assert isinstance(mesh, SurfaceField) and not mesh.surface().vertices.requires_grad
    assert {name.split(".")[0] for name, _ in mesh.named_parameters()} == {"field"}
    torch.testing.assert_close(mesh.isosurface(8).vertices.norm(dim=1), torch.full((162,), 0.5))


def of_file(path: Path, kind: str) -> Tetrahedra | SDFVolume:
    shape = MeshShape(str(path), size=0.4)
    if kind == "tetrahedra":
        return Tetrahedra(field(), shape, 8)
    return SDFVolume(HashGrid(n_levels=2, log2_table_size=8, backend="torch"), Laplace(), shape)


@pytest.mark.parametrize("kind", ["tetrahedra", "volume"])
def test_what_began_as_a_file_needs_it_no_more_once_it_has_a_state(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "ball.obj"
    trimesh.creation.icosphere(2).export(file)
    before = of_file(file, kind)
    surface = before.isosurface(16)
    file.unlink()
    after = of_file(file, kind)
    with pytest.raises(UserError, match=r"shape.path=.*ball.obj is not there"):
        after.isosurface(16)
    after.load_state_dict(before.state_dict())
    assert torch.equal(after.isosurface(16).vertices, surface.vertices) and surface.volume > 0.1


@pytest.mark.parametrize("scale", [(1.0, 1.0, 2.0), None])
def test_a_locked_mesh_whose_file_has_changed_refuses_the_state(
    scale: tuple[float, float, float] | None, tmp_path: Path
) -> None:
    file, ball = tmp_path / "ball.obj", trimesh.creation.icosphere(1)
    ball.export(file)
    before = LockedMesh(str(file), field())
    LockedMesh(str(file), field()).load_state_dict(before.state_dict())
    (ball.apply_scale(scale) if scale else trimesh.creation.icosphere(2)).export(file)
    with pytest.raises(UserError, match=r"geometry.path=.*ball.obj has changed: .*80 other triangles"):
        LockedMesh(str(file), field()).load_state_dict(before.state_dict())


def test_a_locked_mesh_must_fit_the_scene(tmp_path: Path) -> None:
    trimesh.creation.icosphere(1).export(tmp_path / "ball.obj")
    with pytest.raises(UserError, match=r"geometry.size=0.7 .*0.6"):
        LockedMesh(str(tmp_path / "ball.obj"), field(), size=0.7)
