"""Surfaces and cameras to rasterise, and an independent ray caster."""

import math

import numpy as np
import torch
import trimesh
from skimage.measure import marching_cubes
from torch import Tensor

from data.cameras import Cameras, look_at_origin
from data.toybox.captions import parse
from data.toybox.grammar import build
from data.toybox.parts import BOX, ELLIPSOID, Part
from models.triangles import Triangles


def views(n: int = 4, size: int = 64, width: int | None = None) -> Cameras:
    angles = 0.3 + torch.arange(n) * 2 * math.pi / n
    elevation = torch.linspace(-0.4, 0.9, n)
    return look_at_origin(angles, elevation, torch.full((n,), 2.0), torch.full((n,), 0.7), size, width or size)


def ball(subdivisions: int = 3, radius: float = 0.5) -> Triangles:
    return _triangles(trimesh.creation.icosphere(subdivisions, radius))


def box(size: float = 0.6) -> Triangles:
    return _triangles(trimesh.creation.box((size, size, size)))


def soup(rng: torch.Generator, n: int = 60) -> Triangles:
    vertices = torch.rand(3 * n, 3, generator=rng) - 0.5
    return Triangles(vertices, torch.arange(3 * n).view(n, 3))


def toy(caption: str, resolution: int = 48) -> Triangles:
    axis = np.linspace(-0.6, 0.6, resolution)
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)
    level = np.min([_level(part, points) for part in build(parse(caption))], axis=0)
    vertices, faces, _, _ = marching_cubes(level, 0.0, spacing=(axis[1] - axis[0],) * 3, gradient_direction="descent")
    return Triangles(torch.from_numpy(vertices.astype(np.float32)) - 0.6, torch.from_numpy(faces.astype(np.int64)))


def cast(surface: Triangles, cameras: Cameras) -> Tensor:
    """Embree's nearest triangle along the ray of each pixel, -1 where there is none."""
    from embreex.mesh_construction import TriangleMesh
    from embreex.rtcore_scene import EmbreeScene

    scene, rays = EmbreeScene(), cameras.rays()
    TriangleMesh(scene, surface.vertices[surface.faces].numpy())
    origins, directions = (part.reshape(-1, 3).contiguous().numpy() for part in (rays.origins, rays.directions))
    return torch.from_numpy(scene.run(origins, directions)).long().view(rays.origins.shape[:3])


def _triangles(mesh: trimesh.Trimesh) -> Triangles:
    return Triangles(torch.tensor(mesh.vertices, dtype=torch.float32), torch.tensor(mesh.faces).long())


def _level(part: Part, points: np.ndarray) -> np.ndarray:
    """Negative inside."""
    x, y, z = np.moveaxis((points - part.center) @ np.linalg.inv(part.matrix).T, -1, 0)
    if part.shape == ELLIPSOID:
        return np.sqrt(x * x + y * y + z * z) - 1
    if part.shape == BOX:
        return np.maximum(np.maximum(abs(x), abs(y)), abs(z)) - 1
    radius = 1 + (part.taper - 1) * (z + 1) / 2
    return np.maximum(np.sqrt(x * x + y * y) - radius, abs(z) - 1)
