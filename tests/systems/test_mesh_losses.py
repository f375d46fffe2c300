from __future__ import annotations

import math

import pytest
import torch
import trimesh

from data.errors import UserError
from models.backgrounds import SolidBackground
from models.dmtet import Tetrahedra
from models.geometry import BlobMagic3D, ImplicitVolume
from models.hashgrid import HashGrid
from models.marching_tetrahedra import marching_tetrahedra
from models.materials import Albedo
from models.scene import Scene
from models.shapes import Sphere
from models.tetrahedra import tetrahedral_grid
from models.triangles import Triangles
from renderers.output import RenderOutput
from systems.losses import Loss
from systems.mesh_losses import Laplacian, NormalConsistency, SignedDistance, edges

LOSSES = [NormalConsistency(1.0), Laplacian(1.0), SignedDistance(1.0)]
EMPTY = Triangles(torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.long))


@pytest.fixture
def scene() -> Scene:
    encoding = HashGrid(n_levels=2, log2_table_size=8, base_resolution=4, finest_resolution=8, backend="torch")
    field = ImplicitVolume(encoding, BlobMagic3D(), hidden=8)
    return Scene(Tetrahedra(field, Sphere(0.3), 6), Albedo(), SolidBackground())


def output(surface: Triangles | None) -> RenderOutput:
    return RenderOutput(*(torch.zeros(1, 1, 1, n) for n in (3, 1, 1)), None, surface=surface)


def made_of(mesh: trimesh.Trimesh, scale: float = 1.0) -> Triangles:
    return Triangles(torch.from_numpy(mesh.vertices).float() * scale, torch.from_numpy(mesh.faces))


def of(loss: Loss, scene: Scene, surface: Triangles | None) -> float:
    return float(loss(scene, output(surface)))


def test_edges_of_a_closed_mesh_are_each_once_and_have_two_faces() -> None:
    surface = made_of(trimesh.creation.icosphere(2))
    ends, sides = edges(surface.faces)
    assert len(ends) == len(sides) == 3 * len(surface.faces) // 2
    both = surface.faces[sides].flatten(1)
    assert all(
        sum(face.tolist().count(end) for end in pair) == 4 for face, pair in zip(both, ends.tolist(), strict=True)
    )


def test_an_edge_with_one_face_has_no_other_side() -> None:
    ends, sides = edges(torch.tensor([[0, 1, 2], [2, 1, 3]]))
    assert (
        ends.tolist() == [[0, 1], [0, 2], [1, 2], [1, 3], [2, 3]]
        and sorted(sides[0].tolist()) == [0, 1]
        and len(sides) == 1
    )


def test_normals_of_a_cube_disagree_at_12_of_its_18_edges(scene: Scene) -> None:
    assert of(NormalConsistency(1.0), scene, made_of(trimesh.creation.box())) == pytest.approx(12 / 18)


def test_normal_consistency_of_a_fold_is_one_minus_its_cosine(scene: Scene) -> None:
    angle = 0.4
    vertices = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, -math.cos(angle), math.sin(angle)]])
    fold = Triangles(vertices, torch.tensor([[0, 1, 2], [1, 0, 3]]))
    assert of(NormalConsistency(1.0), scene, fold) == pytest.approx(1 - math.cos(angle), rel=1e-4)


def test_laplacian_of_an_octahedron_is_its_radius_squared(scene: Scene) -> None:
    octahedron = trimesh.Trimesh(torch.cat([torch.eye(3), -torch.eye(3)]).numpy()).convex_hull
    assert of(Laplacian(1.0), scene, made_of(octahedron, 0.5)) == pytest.approx(0.25)


def test_laplacian_pulls_a_spike_back(scene: Scene) -> None:
    surface = made_of(trimesh.creation.icosphere(2))
    surface.vertices[7] *= 1.5
    surface.vertices.requires_grad_()
    Laplacian(1.0)(scene, output(surface)).backward()
    assert surface.vertices.grad is not None
    assert surface.vertices.grad.norm(dim=1).argmax() == 7 and surface.vertices.grad[7] @ surface.vertices[7] > 0


def test_signed_distance_counts_ends_that_stand_half_a_cell_from_the_surface(scene: Scene) -> None:
    geometry = scene.geometry
    assert isinstance(geometry, Tetrahedra)
    with torch.no_grad():
        half = 0.5 * geometry.cell.max()
        geometry.sdf.copy_(torch.where(geometry.places()[:, 2] < 0.01, -half, half))
        geometry.boundary.fill_(False)
        geometry.radius = 10.0
    expected = 2 * math.log(1 + math.exp(0.5))
    assert of(SignedDistance(1.0), scene, None) == pytest.approx(expected)


def test_signed_distance_moves_the_ends_of_crossings_towards_the_other_sign(scene: Scene) -> None:
    geometry = scene.geometry
    assert isinstance(geometry, Tetrahedra)
    SignedDistance(1.0)(scene, output(None)).backward()
    assert geometry.sdf.grad is not None
    near = geometry.sdf.grad != 0
    assert near.any() and (geometry.sdf.grad[near].sign() == geometry.sdf[near].sign()).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_smoother_surfaces_cost_less(loss: Loss, scene: Scene, rng: torch.Generator) -> None:
    grid = tetrahedral_grid(6)
    smooth = 0.3 - (grid.vertices - 0.5).norm(dim=1)
    costs = []
    for noise in (0.0, 0.1):
        sdf = -smooth + noise * torch.randn(len(smooth), generator=rng)
        sdf[grid.boundary] = 1.0
        assert isinstance(scene.geometry, Tetrahedra)
        with torch.no_grad():
            scene.geometry.sdf.copy_(sdf)
        costs.append(of(loss, scene, marching_tetrahedra(grid.vertices, sdf, grid.tets)))
    assert costs[0] < costs[1]


@pytest.mark.parametrize("loss", LOSSES)
def test_no_surface_costs_nothing(loss: Loss, scene: Scene) -> None:
    assert isinstance(loss, Loss) and isinstance(scene.geometry, Tetrahedra)
    with torch.no_grad():
        scene.geometry.sdf.fill_(0.1)
    assert of(loss, scene, EMPTY) == 0.0


@pytest.mark.parametrize("loss", LOSSES[:2])
def test_a_renderer_without_a_surface_is_named(loss: Loss, scene: Scene) -> None:
    with pytest.raises(UserError, match=r"system.losses.*needs a surface: say renderer=dmtet"):
        loss(scene, output(None))


def test_signed_distance_without_tetrahedra_is_named(scene: Scene) -> None:
    assert isinstance(scene.geometry, Tetrahedra)
    scene.geometry = scene.geometry.field
    with pytest.raises(UserError, match="needs tetrahedra"):
        SignedDistance(1.0)(scene, output(None))
