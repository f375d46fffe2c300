from __future__ import annotations

import math

import pytest
import torch
import trimesh
from jaxtyping import Float
from torch import Tensor

from models.marching_tetrahedra import marching_tetrahedra
from models.tetrahedra import tetrahedral_grid
from models.triangles import Triangles

RADIUS = 0.3
TET = torch.tensor([[0, 1, 2, 3]])
CORNERS = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])


def ball(resolution: int) -> Triangles:
    grid = tetrahedral_grid(resolution)
    return marching_tetrahedra(grid.vertices, (grid.vertices - 0.5).norm(dim=1) - RADIUS, grid.tets)


def area(surface: Triangles) -> float:
    return surface.face_normals().norm(dim=-1).sum().item() / 2


def closed(surface: Triangles) -> bool:
    return trimesh.Trimesh(surface.vertices.detach(), surface.faces, process=False).is_watertight


def test_volume_and_area_of_a_ball_converge_with_the_square_of_the_resolution() -> None:
    volumes, areas = ([of(ball(n)) for n in (8, 16, 32)] for of in (lambda s: s.volume, area))
    for values, truth in ((volumes, 4 / 3 * math.pi * RADIUS**3), (areas, 4 * math.pi * RADIUS**2)):
        errors = [truth - value for value in values]
        assert 0 < errors[2] < 0.005 * truth
        assert errors[0] / errors[1] == pytest.approx(4, rel=0.2) and errors[1] / errors[2] == pytest.approx(4, rel=0.2)


def test_any_surface_inside_the_grid_is_closed_and_looks_outward(rng: torch.Generator) -> None:
    grid = tetrahedral_grid(6)
    sdf = torch.randn(len(grid.vertices), generator=rng)
    sdf[grid.boundary] = 1.0
    surface = marching_tetrahedra(grid.vertices, sdf, grid.tets)
    assert len(surface.faces) > 2000 and closed(surface)
    mesh = trimesh.Trimesh(surface.vertices, surface.faces, process=False)
    assert mesh.is_winding_consistent and surface.volume > 0


@pytest.mark.parametrize("case", range(1, 15))
def test_faces_look_from_the_inside_corners_to_the_outside_ones(case: int) -> None:
    inside = torch.tensor([bool(case >> corner & 1) for corner in range(4)])
    surface = marching_tetrahedra(CORNERS, torch.where(inside, -1.0, 1.0), TET)
    outward = CORNERS[~inside].mean(dim=0) - CORNERS[inside].mean(dim=0)
    assert len(surface.faces) == (2 if inside.sum() == 2 else 1)
    assert (surface.face_normals() @ outward > 0).all()


def test_crossings_lie_where_the_distances_along_an_edge_are_zero() -> None:
    surface = marching_tetrahedra(CORNERS, torch.tensor([-1.0, 3.0, 1.0, 0.25]), TET)
    torch.testing.assert_close(surface.vertices.sum(dim=1), torch.tensor([0.25, 0.5, 0.8]))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_where_nothing_changes_sign_there_is_no_surface(sign: float) -> None:
    surface = marching_tetrahedra(CORNERS, torch.full((4,), sign), TET)
    assert surface.vertices.shape == surface.faces.shape == (0, 3) and surface.volume == 0


def test_exact_zeros_are_outside_and_leave_no_degenerate_triangle() -> None:
    grid = tetrahedral_grid(8)
    sdf = (grid.vertices - 0.5).abs().sum(dim=1) - 0.25  # an octahedron that goes through many vertices
    assert (sdf == 0).sum() == 18
    surface = marching_tetrahedra(grid.vertices, sdf, grid.tets)
    assert closed(surface) and surface.face_normals().norm(dim=-1).min() > 0


def test_gradients_are_those_of_finite_differences(rng: torch.Generator) -> None:
    grid = tetrahedral_grid(2)
    vertices = grid.vertices.double().requires_grad_()
    sdf = torch.randn(len(vertices), generator=rng, dtype=torch.double).requires_grad_()

    def crossings(vertices: Float[Tensor, "v 3"], sdf: Float[Tensor, "v"]) -> Float[Tensor, "n 3"]:
        return marching_tetrahedra(vertices, sdf, grid.tets).vertices

    assert torch.autograd.gradcheck(crossings, (vertices, sdf))


def test_a_zero_can_still_learn() -> None:
    sdf = torch.tensor([-1.0, 0.0, 1.0, 1.0], requires_grad=True)
    marching_tetrahedra(CORNERS, sdf, TET).vertices.sum().backward()
    assert sdf.grad is not None and sdf.grad[1] < 0
