"""A field whose colours are known everywhere, baked and looked at."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
import trimesh
from jaxtyping import Float
from torch import Tensor, nn

from data.samplers import turntable
from models.asset import Asset, look_up
from models.backgrounds import SolidBackground
from models.geometry import FieldSample
from models.materials import Light
from models.scene import Scene
from models.triangles import Triangles
from models.unwrapping import Unwrapped, charts, grid
from renderers.asset_view import view
from renderers.baking import Through, bake
from renderers.rasterizing import barycentric, choose_raster_kernels, interpolate

KERNELS = choose_raster_kernels("auto").of(torch.zeros(1))
RADIUS = 0.4


def true_color(x: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
    """Smooth, and nowhere darker than 0.3."""
    return 0.65 + 0.35 * torch.sin(5 * x)


class Colored(nn.Module):
    """A ball; its features are its colours."""

    radius = 0.6

    def features(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        return true_color(x)

    def isosurface(self, resolution: int, threshold: float | None = None) -> Triangles:
        return ball()


class Layers(Colored):
    """A volume: red matter around blue matter, the border where the surface is; thick enough that the blue hides."""

    def encode(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n c"]:
        return x[:, :0]

    def density(self, x: Float[Tensor, "n 3"], code: Tensor | None = None) -> Float[Tensor, "n"]:
        return torch.where(x.norm(dim=-1) < RADIUS + 0.02, 400.0, 0.0)

    def features(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        return torch.stack([x.norm(dim=-1) > RADIUS, 0 * x[:, 0], x.norm(dim=-1) <= RADIUS], dim=-1).float()

    def forward(self, x: Float[Tensor, "n 3"], with_normal: bool = False, code: Tensor | None = None) -> FieldSample:
        return FieldSample(self.density(x), self.features(x), None)


class AsItIs(nn.Module):
    """The colour is the features; of a lit one, roughness is the height."""

    def __init__(self, lit: bool = False) -> None:
        super().__init__()
        self.lit = lit

    def light(self, camera: Float[Tensor, "b 3"], rng: torch.Generator | None) -> Light:
        return Light(camera)

    def albedo(self, features: Float[Tensor, "n f"]) -> Float[Tensor, "n 3"]:
        return features

    def roughness_metallic(self, features: Float[Tensor, "n f"]) -> Float[Tensor, "n 2"] | None:
        return features[:, [2, 0]] if self.lit else None

    def forward(
        self, features: Float[Tensor, "n f"], points: Tensor, normal: Tensor | None, light: Light
    ) -> Float[Tensor, "n 3"]:
        return features


def ball(subdivisions: int = 4) -> Triangles:
    mesh = trimesh.creation.icosphere(subdivisions, radius=RADIUS)
    return Triangles(torch.from_numpy(mesh.vertices).float(), torch.from_numpy(mesh.faces))


def scene(geometry: nn.Module | None = None, lit: bool = False) -> Scene:
    return Scene(geometry or Colored(), AsItIs(lit), SolidBackground((0.0, 0.0, 0.0)))


@pytest.fixture(scope="module", params=["charts", "grid"])
def unwrapped(request: pytest.FixtureRequest) -> Unwrapped:
    return charts(ball(), 256, seconds=60.0) if request.param == "charts" else grid(ball(), 256)


def asset(unwrapped: Unwrapped, texture: Float[Tensor, "h w 3"]) -> Asset:
    surface = ball()
    vertices, normals = surface.vertices[unwrapped.vertex], surface.vertex_normals()[unwrapped.vertex]
    return Asset(vertices, unwrapped.faces, normals, unwrapped.uv, texture)


def test_each_place_of_the_surface_finds_its_colour_in_the_texture(unwrapped: Unwrapped) -> None:
    """At the corners of the faces, too, which lie on the seams: bilinear lookup, as in any viewer."""
    texture = bake(scene(), ball(), unwrapped, Through(), KERNELS)
    weights = torch.tensor([[1 / 3, 1 / 3, 1 / 3], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.5, 0], [0, 0.5, 0.5]])
    mean = lambda values: torch.einsum("wk,fkc->wfc", weights, values[unwrapped.faces]).flatten(0, 1)
    points, uv = mean(ball().vertices[unwrapped.vertex]), mean(unwrapped.uv)
    texel = (
        (4 * math.pi * RADIUS**2) ** 0.5 / 256 * 1.75
    )  # times the steepest slope: by what a texel's colour may differ
    assert (look_up(texture, uv) - true_color(points)).abs().max() < texel


def test_a_picture_of_the_asset_has_no_seams(unwrapped: Unwrapped) -> None:
    """Against the true colour at each pixel inside the outline; a seam would be dark, or of another place's colour."""
    toy = asset(unwrapped, bake(scene(), ball(), unwrapped, Through(), KERNELS))
    cameras = turntable(4, 128)
    seen = view(toy, scene(), cameras, KERNELS)
    projected = cameras.project(ball().vertices)
    face = KERNELS.visible(projected, ball().faces, 128, 128)
    points = interpolate(ball().vertices, ball().faces, face, barycentric(projected, ball().faces, face))
    inside = -nn.functional.max_pool2d(-(face >= 0).float()[:, None], 5, stride=1, padding=2)[:, 0] > 0
    assert inside.float().mean() > 0.2
    assert (seen.rgb[inside] - true_color(points[inside])).abs().max() < 0.03


def test_minified_textures_keep_the_colours(unwrapped: Unwrapped) -> None:
    """Nothing dark between the charts, at any level of a mipmap."""
    texture = bake(scene(), ball(), unwrapped, Through(), KERNELS)
    for factor in (1, 4, 16):
        smaller = nn.functional.avg_pool2d(texture.movedim(-1, 0), factor)
        assert smaller.min() > 0.29


def test_of_a_volume_the_colour_that_an_eye_sees_is_baked(unwrapped: Unwrapped) -> None:
    seen = bake(scene(Layers()), ball(), unwrapped, Through(depth=0.15, samples=12), KERNELS)
    there = bake(scene(Layers()), ball(), unwrapped, Through(samples=0), KERNELS)
    assert seen.flatten(0, 1).mean(dim=0)[0] > 0.95, "the red layer hides the blue"
    assert there.flatten(0, 1).mean(dim=0)[2] > 0.5, "at the surface itself it is blue"


def test_weights_through_a_layer_are_those_of_a_ray() -> None:
    """Constant density d, colours c_k by depth: weights (1 - a)^k a over their sum, a = 1 - exp(-d step)."""

    class Fog(Layers):
        def density(self, x: Float[Tensor, "n 3"], code: Tensor | None = None) -> Float[Tensor, "n"]:
            return torch.full((len(x),), 5.0)

        def features(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
            return x

    step = 0.3 * 0.6 / 3
    alpha = 1 - math.exp(-5.0 * step)
    weights = [alpha, (1 - alpha) * alpha, (1 - alpha) ** 2 * alpha]
    depths = [RADIUS + step / 2, RADIUS - step / 2, RADIUS - 3 * step / 2]
    expected = sum(w * d for w, d in zip(weights, depths, strict=True)) / sum(weights)
    direction = torch.tensor([[0.0, 0.6, 0.8]])
    seen = Through(depth=0.3, samples=3)(scene(Fog()), RADIUS * direction, direction)
    torch.testing.assert_close(seen, expected * direction, atol=1e-5, rtol=0)


def test_a_lit_material_has_five_channels(unwrapped: Unwrapped) -> None:
    texture = bake(scene(lit=True), ball(), unwrapped, Through(), KERNELS)
    assert texture.shape == (256, 256, 5)
    torch.testing.assert_close(texture[..., 3:], texture[..., [2, 0]])


def test_the_view_of_an_asset_is_where_its_surface_is() -> None:
    """A white ball on black: opacity is its share of the picture, depth its nearest point in the middle."""
    toy = asset(grid(ball(), 256), torch.ones(256, 256, 3))
    cameras = dataclasses.replace(turntable(1, 64, elevation=0.0))
    seen = view(toy, scene(), cameras, KERNELS)
    distance, half = cameras.distance.item(), math.tan(cameras.fov_y.item() / 2)
    outline = RADIUS / math.sqrt(distance**2 - RADIUS**2) / half
    assert seen.opacity.mean().item() == pytest.approx(math.pi * outline**2 / 4, rel=0.01)
    torch.testing.assert_close(seen.rgb, seen.opacity.expand_as(seen.rgb))
    assert seen.depth[0, 31:33, 31:33].mean().item() == pytest.approx(distance - RADIUS, abs=0.003)
