import math
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import trimesh
from jaxtyping import Float
from torch import Tensor

from models.geometry import FieldSample
from models.isosurface import isosurface
from models.materials import Albedo
from models.mesh import Mesh, extract_mesh, linear_from_srgb
from models.triangles import EmptySurfaceError, Triangles


@dataclass
class Balls:
    """Soft-edged solid balls, white in front (x > 0), else black, inside fog; the first may be hollow."""

    centers: tuple[tuple[float, float, float], ...] = ((0.0, 0.0, 0.0),)
    radii: tuple[float, ...] = (0.35,)
    solid: float = 200.0
    fog: float = 0.0
    hollow: float = 0.0
    edge: float = 0.002
    radius: float = 0.6

    def encode(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n 0"]:
        return x[:, :0]

    def density(self, x: Float[Tensor, "n 3"], code: Tensor | None = None) -> Float[Tensor, "n"]:
        distance = torch.stack(
            [(x - torch.tensor(c)).norm(dim=-1) - r for c, r in zip(self.centers, self.radii, strict=True)]
        )
        inside = torch.sigmoid(-distance.amin(dim=0) / self.edge)
        inside = inside * (x.norm(dim=-1) >= self.hollow)
        return self.fog + self.solid * inside

    def features(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        return torch.where(x[:, :1] > 0, 20.0, -20.0).expand(-1, 3)

    def isosurface(self, resolution: int, threshold: float | None = None) -> Triangles:
        return isosurface(self.density, self.radius, resolution, threshold, torch.device("cpu"))

    def __call__(self, x: Float[Tensor, "n 3"], with_normal: bool = False, code: Tensor | None = None) -> FieldSample:
        return FieldSample(self.density(x), self.features(x), None)


def mesh(**balls: object) -> Mesh:
    return extract_mesh(Balls(**balls), Albedo(), resolution=64)


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
    vertices = extract_mesh(soft, Albedo(), resolution=64).vertices
    assert vertices[:, 2].max().item() == pytest.approx(outline.item(), abs=0.01)


def test_faces_close_the_surface() -> None:
    ball = mesh()
    assert trimesh.Trimesh(ball.vertices.numpy(), ball.faces.numpy()).is_watertight


def test_colours_are_those_of_the_field() -> None:
    ball = mesh()
    front, back = ball.vertices[:, 0] > 0.02, ball.vertices[:, 0] < -0.02
    torch.testing.assert_close(ball.colors[front], torch.ones(int(front.sum()), 3))
    torch.testing.assert_close(ball.colors[back], torch.zeros(int(back.sum()), 3))


def test_thin_fog_does_not_move_the_surface() -> None:
    assert mesh(fog=0.3).volume == pytest.approx(mesh().volume, rel=0.02)


def test_a_faint_solid_is_found_without_a_threshold_of_its_own() -> None:
    assert mesh(solid=8.0).volume == pytest.approx(mesh().volume, rel=0.15)


def test_floaters_go_and_large_pieces_stay() -> None:
    centers, radii = ((-0.2, 0.0, 0.0), (0.3, 0.0, 0.0), (0.0, 0.0, 0.5)), (0.2, 0.15, 0.05)
    pieces = mesh(centers=centers, radii=radii)
    assert trimesh.Trimesh(pieces.vertices.numpy(), pieces.faces.numpy()).body_count == 2


def test_cavities_are_filled() -> None:
    assert mesh(hollow=0.2).volume == pytest.approx(mesh().volume, rel=0.01)


def test_matter_at_the_boundary_is_closed() -> None:
    assert mesh(radii=(2.0,)).volume == pytest.approx(4 / 3 * math.pi * 0.6**3, rel=0.05)


@pytest.mark.parametrize("density", [0.0, 0.01])
def test_an_empty_field_says_so(density: float) -> None:
    with pytest.raises(EmptySurfaceError, match="transparent"):
        mesh(solid=density)
    with pytest.raises(EmptySurfaceError, match="threshold"):
        extract_mesh(Balls(solid=density), Albedo(), resolution=16, threshold=1.0)


def test_glb_keeps_shape_and_colour_with_y_up_and_the_front_towards_z(tmp_path: Path) -> None:
    triangle = Mesh(
        vertices=torch.tensor([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 3.0]]),
        faces=torch.tensor([[0, 1, 2]]),
        colors=torch.tensor([[1.0, 0.5, 0.0]] * 3),
    )
    triangle.save(tmp_path / "mesh.glb")
    loaded = next(iter(trimesh.load_scene(tmp_path / "mesh.glb").geometry.values()))
    front, left, up = loaded.vertices
    assert front.tolist() == [0, 0, 1] and left.tolist() == [2, 0, 0] and up.tolist() == [0, 3, 0]
    stored = torch.from_numpy(loaded.visual.vertex_attributes["color"].copy())
    torch.testing.assert_close(stored, torch.tensor([[1.0, 0.21404, 0.0]] * 3))


def test_ply_keeps_world_axes_and_display_colours(tmp_path: Path) -> None:
    ball = mesh()
    ball.save(tmp_path / "mesh.ply")
    loaded = trimesh.load_mesh(tmp_path / "mesh.ply", process=False)
    torch.testing.assert_close(torch.tensor(loaded.vertices).float(), ball.vertices)
    assert (loaded.visual.vertex_colors[:, 0] == (ball.colors[:, 0] * 255).round().byte().numpy()).all()


def test_linear_from_srgb_inverts_the_display_curve() -> None:
    linear = torch.linspace(0, 1, 50)[:, None].expand(-1, 3)
    srgb = torch.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    torch.testing.assert_close(linear_from_srgb(srgb), linear, atol=1e-5, rtol=0)
