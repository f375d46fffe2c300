"""Shapes that optimisation may start from, as signed distances: negative inside."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from data.errors import UserError
from data.ranges import PositiveFloat
from models.mesh_file import PlacedMesh, read_meshes
from models.normals import direction
from models.triangles import Triangles


@runtime_checkable
class Shape(Protocol):
    def __call__(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        """Signed distance, negative inside."""
        ...


class Sphere:
    """|x| - radius."""

    def __init__(self, radius: PositiveFloat = 0.35) -> None:
        self.radius = radius

    def __call__(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        return x.norm(dim=-1) - self.radius

    def slope(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        return direction(x)


class Ellipsoid:
    """|x / r| (|x / r| - 1) / |x / r^2|: exact on the surface, to first order near it. radii: along x, y, z."""

    def __init__(self, radii: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = (0.4, 0.25, 0.3)) -> None:
        self.radii = tuple(radii)

    def __call__(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        radii = x.new_tensor(self.radii)
        scaled, slope = (x / radii).norm(dim=-1), (x / radii**2).norm(dim=-1)
        return torch.where(slope > 0, scaled * (scaled - 1) / slope.clamp(min=1e-12), -radii.min())


class MeshShape:
    """The distance to the triangles of a file (`read_triangles`); inside is what they wind around, also where they
    leave holes. Read when it is first asked."""

    def __init__(self, path: str, size: PositiveFloat = 0.5, z_up: bool = False) -> None:
        self.path, self.size, self.z_up = path, size, z_up

    @functools.cached_property
    def surface(self) -> Triangles:
        return read_triangles(self.path, self.size, self.z_up, "shape.path")

    def __call__(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        return signed_distance(x, self.surface)


def signed_distance(x: Float[Tensor, "n 3"], surface: Triangles) -> Float[Tensor, "n"]:
    """To triangles, closed or not: inside is where they wind around more than half (Barill et al. 2018)."""
    import igl

    points, vertices = (part.detach().cpu().double().numpy() for part in (x, surface.vertices))
    faces = surface.faces.cpu().numpy()
    # Not the sign that signed_distance offers: it scales the distance by 1 - 2 |winding|
    distance, *_ = igl.signed_distance(points, vertices, faces, sign_type=igl.SIGNED_DISTANCE_TYPE_UNSIGNED)
    inside = np.abs(igl.fast_winding_number(vertices, faces, points)) > 0.5
    return torch.from_numpy(np.where(inside, -distance, distance)).to(x)


def read_triangles(path: str, size: float, z_up: bool, key: str) -> Triangles:
    """Of an OBJ, GLB, PLY or STL file, the middle of its bounding box moved to 0, its farthest vertex scaled to `size`.
    Vertices at one place become one, as seams of textures double them; faces of a negative volume are turned outward.

    z_up: the file has our axes, z up and x to the front; else those of glTF, y up and z to the front.
    key: under which the user named the file.
    """
    if not Path(path).is_file():
        raise UserError(f"{key}={path} is not there: give an OBJ, GLB, PLY or STL file")
    try:
        vertices, faces = _welded(*_joined(read_meshes(Path(path))))
    except Exception as error:  # of a damaged file, parsers raise whatever they please
        raise UserError(
            f"{key}={path} cannot be read as a mesh ({error}): give an OBJ, GLB, PLY or STL file"
        ) from error
    if not len(faces):
        raise UserError(f"{key}={path} holds no triangles: give a file with a surface")
    vertices = vertices if z_up else vertices[:, [2, 0, 1]]
    vertices = vertices - (vertices.min(axis=0) + vertices.max(axis=0)) / 2
    vertices *= size / np.linalg.norm(vertices, axis=1).max()
    surface = Triangles(torch.from_numpy(vertices), torch.from_numpy(faces))
    if surface.volume < -1e-6 * size**3:  # what is flat has none, but for rounding
        surface = Triangles(surface.vertices, surface.faces.flip(1))
    return surface


def _joined(meshes: Sequence[PlacedMesh]) -> tuple[Float[np.ndarray, "v 3"], Int[np.ndarray, "f 3"]]:
    """Without their looks: to join those, every texture would be unpacked. What a mirror has turned is turned back."""
    vertices, faces, count = [np.empty((0, 3), np.float32)], [np.empty((0, 3), np.int64)], 0
    for one in meshes:
        mirrored = np.linalg.det(one.transform[:3, :3]) < 0
        vertices.append(one.vertices.astype(np.float32))
        faces.append((one.faces[:, ::-1] if mirrored else one.faces) + count)
        count += len(vertices[-1])
    return np.concatenate(vertices), np.concatenate(faces)


def _welded(
    vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]
) -> tuple[Float[np.ndarray, "w 3"], Int[np.ndarray, "g 3"]]:
    """Without doubled vertices; then, without faces that are no triangles any more, or there again (from behind); and
    without vertices of none."""
    places, index = np.unique(vertices, axis=0, return_inverse=True)
    corners = np.sort(index.reshape(-1)[faces], axis=1)
    _, first = np.unique(corners, axis=0, return_index=True)
    flat = (corners[first, :2] == corners[first, 1:]).any(axis=1)
    used, corners = np.unique(index.reshape(-1)[faces[np.sort(first[~flat])]], return_inverse=True)
    return places[used], corners.reshape(-1, 3)
