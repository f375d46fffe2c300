from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from models.tetrahedra import TetrahedralGrid, tetrahedral_grid

FACES = [[1, 2, 3], [0, 3, 2], [0, 1, 3], [0, 2, 1]]  # each opposite to the corner of its number, seen from outside


def volumes(grid: TetrahedralGrid) -> Float[Tensor, "t"]:
    a, b, c, d = grid.vertices.double()[grid.tets].unbind(dim=1)
    return torch.linalg.det(torch.stack([b - a, c - a, d - a], dim=1)) / 6


def dihedral_angles(grid: TetrahedralGrid) -> Float[Tensor, "t 6"]:
    a, b, c = grid.vertices.double()[grid.tets[:, FACES]].unbind(dim=2)
    normal = normalize(torch.linalg.cross(b - a, c - a), dim=-1)
    cosines = normal @ normal.mT
    i, j = torch.triu_indices(4, 4, offset=1)
    return 180 - torch.rad2deg(torch.arccos(cosines[:, i, j]))


def test_there_are_as_many_tetrahedra_and_vertices_as_the_lattice_has() -> None:
    for n in (1, 2, 5):
        grid = tetrahedral_grid(n)
        assert len(grid.tets) == 12 * n**3 + 12 * n**2
        assert len(grid.vertices) == (n + 1) ** 3 + n**3 + 6 * n**2
        assert len(grid.vertices.unique(dim=0)) == len(grid.vertices)


def test_all_are_positively_oriented_and_fill_the_unit_cube() -> None:
    volume = volumes(tetrahedral_grid(6))
    assert volume.min() > 0 and abs(volume.sum() - 1) < 1e-6


def test_each_face_is_shared_by_two_or_lies_on_the_boundary() -> None:
    grid = tetrahedral_grid(4)
    faces, count = grid.tets[:, FACES].flatten(0, 1).sort(dim=1)[0].unique(dim=0, return_counts=True)
    assert count.max() == 2 and len(faces[count == 1]) == 6 * 4 * 4**2
    outer = grid.vertices[faces[count == 1]]
    flat = ((outer == 0).all(dim=1) | (outer == 1).all(dim=1)).any(dim=1)
    assert flat.all(), "a face of one tetrahedron lies within the cube"


def test_boundary_is_what_lies_on_the_cube() -> None:
    grid = tetrahedral_grid(3)
    corners_and_centers = 6 * 3**2 + 4**3 - 2**3
    assert grid.boundary.sum() == corners_and_centers
    assert ((grid.vertices[grid.boundary] - 0.5).abs().amax(dim=1) == 0.5).all()


def test_dihedral_angles_are_60_and_90_degrees_and_45_at_the_least_on_the_boundary() -> None:
    grid = tetrahedral_grid(4)
    angles = dihedral_angles(grid)
    inner = ~grid.boundary[grid.tets].any(dim=1)
    assert set(angles[inner].round().unique().tolist()) == {60, 90}
    assert angles.min() > 44.9


def test_edges_are_those_of_the_tetrahedra_each_once() -> None:
    grid = tetrahedral_grid(3)
    i, j = torch.triu_indices(4, 4, offset=1)
    pairs = torch.stack([grid.tets[:, i], grid.tets[:, j]], dim=-1).flatten(0, 1).sort(dim=1)[0]
    assert torch.equal(grid.edges, pairs.unique(dim=0))
