import math
from dataclasses import dataclass

import pytest
import torch
import trimesh
from jaxtyping import Float
from torch import Tensor

from models.geometry import FieldSample
from models.isosurface import isosurface
from models.triangles import EmptySurfaceError, Triangles


@dataclass
class Balls:
    """Soft-edged solid balls inside fog."""

    centers: tuple[tuple[float, float, float], ...] = ((0.0, 0.0, 0.0),)
    radii: tuple[float, ...] = (0.35,)
    solid: float = 200.0
    fog: float = 0.0
    edge: float = 0.002
    radius: float = 0.6

    def encode(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n 0"]:
        return x[:, :0]

    def density(self, x: Float[Tensor, "n 3"], code: Tensor | None = None) -> Float[Tensor, "n"]:
        distance = torch.stack(
            [(x - torch.tensor(c)).norm(dim=-1) - r for c, r in zip(self.centers, self.radii, strict=True)]
        )
        return self.fog + self.solid * torch.sigmoid(-distance.amin(dim=0) / self.edge)

    def features(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        return x

    def isosurface(self, resolution: int, threshold: float | None = None) -> Triangles:
        return isosurface(self.density, self.radius, resolution, threshold, torch.device("cpu"))

    def __call__(self, x: Float[Tensor, "n 3"], with_normal: bool = False, code: Tensor | None = None) -> FieldSample:
        return FieldSample(self.density(x), self.features(x), None)


def mesh(**balls: object) -> Triangles:
    return Balls(**balls).isosurface(resolution=64)


def test_a_ball_has_its_radius_and_looks_outward() -> None:
    ball = mesh()
    radii = ball.vertices.norm(dim=-1)
    cell = 1.2 / 63
    assert radii.min() > 0.35 - cell and radii.max() < 0.35 + cell
    assert ball.volume == pytest.approx(4 / 3 * math.pi * 0.35**3, rel=0.1)


def test_the_surface_lies_where_half_the_light_passes() -> None:
    """A very soft ball: its outline in the mesh is that of its picture, opacity 1/2."""
    soft = Balls(solid=40.0, edge=0.03)
    line = torch.linspace(-0.6, 0.6, 2001)
    height = torch.linspace(0, 0.6, 400)
    points = torch.stack(torch.meshgrid(height, line, indexing="ij"), dim=-1)
    density = soft.density(torch.nn.functional.pad(points, (1, 0)).view(-1, 3)).view(400, 2001)
    outline = height[density.sum(dim=1) * 1.2 / 2000 > math.log(2)].max()
    vertices = soft.isosurface(resolution=64).vertices
    assert vertices[:, 2].max().item() == pytest.approx(outline.item(), abs=0.01)


def test_faces_close_the_surface() -> None:
    ball = mesh()
    assert trimesh.Trimesh(ball.vertices.numpy(), ball.faces.numpy()).is_watertight


def test_thin_fog_does_not_move_the_surface() -> None:
    assert mesh(fog=0.3).volume == pytest.approx(mesh().volume, rel=0.02)


def test_a_faint_solid_is_found_without_a_threshold_of_its_own() -> None:
    assert mesh(solid=8.0).volume == pytest.approx(mesh().volume, rel=0.15)


def test_matter_at_the_boundary_is_closed() -> None:
    assert mesh(radii=(2.0,)).volume == pytest.approx(4 / 3 * math.pi * 0.6**3, rel=0.05)


@pytest.mark.parametrize("density", [0.0, 0.01])
def test_an_empty_field_says_so(density: float) -> None:
    with pytest.raises(EmptySurfaceError, match="transparent"):
        mesh(solid=density)
    with pytest.raises(EmptySurfaceError, match=r"threshold 1; the greatest is .* export.threshold=null"):
        Balls(solid=density).isosurface(resolution=16, threshold=1.0)


@pytest.mark.parametrize("threshold", [1e4, 1e5, 9.9e5])
def test_a_threshold_that_light_does_not_reach_has_a_surface(threshold: float) -> None:
    """Where a cell's opacity is 1 in single precision, denser ones have more."""
    ball = Balls(solid=1e6, edge=0.03)
    expected = 0.35 - 0.03 * math.log(threshold / (1e6 - threshold))
    radii = ball.isosurface(resolution=64, threshold=threshold).vertices.norm(dim=-1)
    assert (radii - expected).abs().max() < 1.2 / 63
