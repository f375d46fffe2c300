"""Surfaces to optimise: a signed distance on a deformable grid of tetrahedra; and triangles that stay as they are."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from data.errors import UserError
from data.ranges import Fraction, PositiveFloat, PositiveInt
from models.cleaning import clean
from models.geometry import Geometry
from models.marching_tetrahedra import marching_tetrahedra
from models.sampled_shape import AskedOnce
from models.shapes import Shape, Sphere, read_triangles, signed_distance
from models.tetrahedra import tetrahedral_grid
from models.triangles import EmptySurfaceError, Triangles

REACH = 0.25  # of a cell: opposite edges of a tetrahedron are half a cell apart, so that it cannot turn over


class Tetrahedra(AskedOnce):
    """DMTet (Shen et al. 2021): each vertex of the grid has a signed distance and may leave its place by REACH cells.

    field: gives the features, and the radius of the scene. shape: the surface to start from.
    resolution: cells along each edge of the box that the grid fills; that is the scene's, until `start_from` fits it.
    Beyond the box and the radius is nothing: there the distance stays positive, and every surface closes.
    """

    vertices: Float[Tensor, "v 3"]
    tets: Int[Tensor, "t 4"]
    edges: Int[Tensor, "e 2"]
    boundary: Bool[Tensor, "v"]
    low: Float[Tensor, "3"]
    high: Float[Tensor, "3"]

    def __init__(self, field: Geometry, shape: Shape | None = None, resolution: PositiveInt = 32) -> None:
        super().__init__()
        self.field = field
        self.radius, self.resolution = field.radius, resolution
        grid = tetrahedral_grid(resolution)
        for name in ("vertices", "tets", "edges", "boundary"):
            self.register_buffer(name, getattr(grid, name), persistent=False)
        self.register_buffer("low", torch.full((3,), -self.radius))
        self.register_buffer("high", torch.full((3,), self.radius))
        shape = shape or Sphere(0.6 * self.radius)
        self.sdf = nn.Parameter(self._cut_off(self.ask(shape, self.places())))
        self.deformation = nn.Parameter(torch.zeros_like(grid.vertices))

    @property
    def cell(self) -> Float[Tensor, "3"]:
        return (self.high - self.low) / self.resolution

    def places(self) -> Float[Tensor, "v 3"]:
        """Of the vertices, before they are moved."""
        return torch.lerp(self.low, self.high, self.vertices)

    def distances(self) -> Float[Tensor, "v"]:
        """The signed distances, in the units of the scene."""
        self.said()
        bounded = torch.maximum(self.sdf, self.places().norm(dim=1) - self.radius)
        return torch.where(self.boundary, bounded.clamp(min=REACH * self.cell.max()), bounded)

    def moved(self) -> Float[Tensor, "v 3"]:
        """The places of the vertices now; none has left its own by REACH cells, and those on the boundary stay."""
        step = self.deformation * torch.rsqrt(1 + self.deformation.square().sum(dim=1, keepdim=True))
        return self.places() + torch.where(self.boundary[:, None], 0.0, REACH * self.cell * step)

    def surface(self) -> Triangles:
        """With gradients on, EmptySurfaceError if there is none: nothing could be learned any more."""
        surface = marching_tetrahedra(self.moved(), self.distances(), self.tets)
        if torch.is_grad_enabled() and not len(surface.faces):
            raise _nothing_inside()
        return surface

    def crossings(self) -> Float[Tensor, "e 2"]:
        """The signed distances, in cells, at both ends of each edge along which they change sign."""
        distances = self.distances()
        inside = distances.detach() < 0
        ends = self.edges[inside[self.edges[:, 0]] != inside[self.edges[:, 1]]]
        return nn.functional.embedding(ends, distances[:, None])[..., 0] / self.cell.max()

    def features(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n f"]:
        """Without a gradient in x: outlines and shading move the surface, the colours of places do not."""
        return self.field.features(x.detach())

    @torch.no_grad()
    def isosurface(self, resolution: int, threshold: float | None = None) -> Triangles:
        """Its own surface, whatever the arguments."""
        surface = self.surface()
        if not len(surface.faces):
            raise _nothing_inside()
        return surface

    @torch.no_grad()
    def start_from(self, source: Geometry, threshold: float | None = None) -> None:
        """Takes the place and the surface of another geometry: the box is fitted around it (`_box`), and the distances
        to it are true ones, which optimise better than densities do."""
        surface = clean(source.isosurface(max(64, 3 * self.resolution), threshold), floater=0.05)
        low, high = _box(surface.vertices.to(self.low))
        self.low, self.high = low.clamp(min=-self.radius), high.clamp(max=self.radius)
        self.sdf.copy_(self._cut_off(signed_distance(self.places(), surface)))
        self.deformation.zero_()
        self._missing = None

    def _cut_off(self, distance: Float[Tensor, "v"]) -> Float[Tensor, "v"]:
        """At one cell: the surface is the same, and what lies deep inside comes out as fast as what lies under it."""
        return distance.clamp(-self.cell.max(), self.cell.max())


def _nothing_inside() -> EmptySurfaceError:
    return EmptySurfaceError(
        "no vertex of the tetrahedra is inside the object any more: lower system.learning_rates.geometry.sdf or"
        " system.losses, or start from a larger shape"
    )


def _box(points: Float[Tensor, "n 3"], margin: Fraction = 0.1) -> tuple[Float[Tensor, "3"], Float[Tensor, "3"]]:
    """Around the points, 10 % of its longest side wider; no side shorter than half the longest."""
    low, high = points.amin(dim=0), points.amax(dim=0)
    sides = high - low
    sides = (sides + margin * sides.max()).clamp(min=(0.5 + margin / 2) * sides.max())
    return (low + high - sides) / 2, (low + high + sides) / 2


class LockedMesh(nn.Module):
    """Triangles of a file that stay as they are, to be coloured by a field. For the arguments see `read_triangles`."""

    vertices: Float[Tensor, "v 3"]
    faces: Int[Tensor, "f 3"]

    def __init__(self, path: str, field: Geometry, size: PositiveFloat = 0.5, z_up: bool = False) -> None:
        super().__init__()
        if size > field.radius:
            raise UserError(
                f"geometry.size={size} exceeds the radius of the scene, geometry.field.radius={field.radius}"
            )
        self.field, self.radius, self.path = field, field.radius, path
        triangles = read_triangles(path, size, z_up, "geometry.path")
        self.register_buffer("vertices", triangles.vertices)
        self.register_buffer("faces", triangles.faces)

    def surface(self) -> Triangles:
        return Triangles(self.vertices, self.faces, given=True)

    def features(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n f"]:
        return self.field.features(x)

    def isosurface(self, resolution: int, threshold: float | None = None) -> Triangles:
        """Its own triangles, whatever the arguments."""
        return self.surface()

    def _load_from_state_dict(self, state_dict: Mapping[str, Tensor], prefix: str, *args: object) -> None:
        """UserError where the state has other triangles than the file."""
        vertices, faces = state_dict.get(f"{prefix}vertices"), state_dict.get(f"{prefix}faces")
        if vertices is not None and faces is not None and not self._same(vertices, faces):
            raise UserError(
                f"geometry.path={self.path} has changed: the run has {len(faces)} other triangles; put its file back,"
                " or start a new run"
            )
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _same(self, vertices: Tensor, faces: Tensor) -> bool:
        if vertices.shape != self.vertices.shape or not torch.equal(faces.to(self.faces), self.faces):
            return False
        return torch.allclose(vertices.to(self.vertices), self.vertices, atol=1e-5)
