"""A grid of tetrahedra that fills the unit cube: the body-centred cubic lattice, made here at any resolution."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

AROUND = ((1, 1), (-1, 1), (-1, -1), (1, -1))  # the corners of a face, counter-clockwise


@dataclass(frozen=True)
class TetrahedralGrid:
    vertices: Float[Tensor, "v 3"]  # in [0, 1]
    tets: Int[Tensor, "t 4"]  # positively oriented: det(b - a, c - a, d - a) > 0
    edges: Int[Tensor, "e 2"]  # each once, the lower index first
    boundary: Bool[Tensor, "v"]  # on the faces of the cube


@functools.lru_cache(maxsize=2)
def tetrahedral_grid(resolution: int) -> TetrahedralGrid:
    """`resolution`^3 cubes; around each face between two of them stand four tetrahedra, each of both centres and an
    edge of the face. Their dihedral angles are 60 and 90 degrees. On the boundary, the centre of the face takes the
    place of the cube that is not there: the unit cube is filled, by 12 n^3 + 12 n^2 tetrahedra.
    """
    side = 2 * resolution + 1  # centres are odd, corners even; those on the boundary mixed
    corners = np.concatenate([_around_faces(resolution, axis) for axis in range(3)])
    places = corners @ [side * side, side, 1]
    used = np.zeros(side**3, dtype=bool)
    used[places] = True
    tets = (np.cumsum(used) - 1)[places]
    integer = np.stack(np.unravel_index(used.nonzero()[0], (side, side, side)), axis=1)
    return TetrahedralGrid(
        vertices=torch.from_numpy((integer / (2 * resolution)).astype(np.float32)),
        tets=torch.from_numpy(tets),
        edges=torch.from_numpy(_edges(tets)),
        boundary=torch.from_numpy(((integer == 0) | (integer == 2 * resolution)).any(axis=1)),
    )


def _around_faces(resolution: int, axis: int) -> Int[np.ndarray, "t 4 3"]:
    """The corners of the tetrahedra around all faces that are perpendicular to an axis, in half cubes."""
    cube, plane = 2 * np.arange(resolution) + 1, 2 * np.arange(resolution + 1)
    u, v = (axis + 1) % 3, (axis + 2) % 3
    center = np.zeros((resolution + 1, resolution, resolution, 3), dtype=np.int64)
    center[..., axis], center[..., u], center[..., v] = np.meshgrid(plane, cube, cube, indexing="ij")
    along, across = np.zeros(3, dtype=np.int64), np.zeros((4, 3), dtype=np.int64)
    along[axis], across[:, [u, v]] = 1, AROUND
    below, above = (np.clip(center + step, 0, 2 * resolution)[..., None, :] for step in (-along, along))
    rim = center[..., None, :] + across
    shape = rim.shape
    ends = [np.broadcast_to(below, shape), np.broadcast_to(above, shape), rim, np.roll(rim, -1, axis=-2)]
    return np.stack(ends, axis=-2).reshape(-1, 4, 3)


def _edges(tets: Int[np.ndarray, "t 4"]) -> Int[np.ndarray, "e 2"]:
    n = int(tets.max()) + 1
    pairs = np.concatenate([tets[:, [i, j]] for i, j in ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))])
    code = np.sort(pairs.min(axis=1) * n + pairs.max(axis=1))
    return np.stack(np.divmod(code[np.append(True, code[1:] != code[:-1])], n), axis=1)
