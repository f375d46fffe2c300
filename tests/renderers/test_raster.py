from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from jaxtyping import Float
from torch import Tensor, nn

from data.errors import UserError
from models.backgrounds import LearnedBackground, RandomBackground, SolidBackground
from models.color import srgb_from_linear
from models.environment import studio
from models.geometry import BlobMagic3D, FieldSample, ImplicitVolume
from models.hashgrid import HashGrid
from models.materials import Albedo, DiffusePointLight, Material
from models.physically_based import PhysicallyBased
from models.scene import Scene
from models.triangles import Triangles
from renderers.occupancy import OccupancyGrid
from renderers.output import Renderer
from renderers.raster import Raster
from renderers.volume import Volume
from tests.renderers.shapes import ball, box, views
from tests.renderers.test_volume import RedBall
from tests.renderers.test_volume import trainable as volume_scene

RADIUS = 0.5


class Shell(nn.Module):
    """A fixed surface times a size that is learnt; features: of a hash grid, or a given constant."""

    radius = 0.6

    def __init__(self, surface: Triangles, color: tuple[float, float, float] | None = (20.0, -20.0, -20.0)) -> None:
        super().__init__()
        self.fixed = surface
        self.size = nn.Parameter(torch.ones(()))
        self.color = color
        self.texture = ImplicitVolume(HashGrid(backend="numba"), BlobMagic3D()) if color is None else None

    def surface(self) -> Triangles:
        return Triangles(self.fixed.vertices * self.size, self.fixed.faces)

    def features(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        return torch.tensor(self.color).expand_as(x) if self.texture is None else self.texture.features(x.detach())

    def isosurface(self, resolution: int, threshold: float | None = None) -> Triangles:
        return self.surface()


class Chrome(RedBall):
    """Of one look, as a volume and as a surface."""

    def __init__(self, fixed: Triangles, look: Float[Tensor, "f"]) -> None:
        super().__init__()
        self.fixed, self.look = fixed, look

    def surface(self) -> Triangles:
        return self.fixed

    def features(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n f"]:
        return self.look.expand(len(x), -1)

    def forward(self, x: Float[Tensor, "n 3"], with_normal: bool = False, code: Tensor | None = None) -> FieldSample:
        return replace(super().forward(x, with_normal), features=self.features(x))


def scene(surface: Triangles | None = None, material: Material | None = None, **options) -> Scene:
    return Scene(Shell(surface or ball(4, RADIUS), **options), material or Albedo(), SolidBackground())


def distances(cameras) -> Float[Tensor, "b h w"]:
    """Of the rays from the centre of the ball."""
    rays = cameras.rays()
    return torch.linalg.cross(rays.origins, rays.directions).norm(dim=-1)


def test_raster_is_a_renderer() -> None:
    assert isinstance(Raster(), Renderer)


@pytest.mark.parametrize("ssaa", [1, 3])
def test_a_ball_is_seen_where_its_projection_says(ssaa: int) -> None:
    cameras = views(3, 48, 64)
    output, distance = Raster(ssaa=ssaa)(scene(), cameras), distances(cameras)
    hit, miss = distance < 0.46, distance > 0.54
    assert output.rgb.shape == (3, 48, 64, 3) and output.surface is not None and output.samples is None
    torch.testing.assert_close(output.rgb[hit], torch.tensor([1.0, 0.0, 0.0]).expand(int(hit.sum()), 3))
    assert (output.opacity[hit] == 1).all() and (output.opacity[miss] == 0).all()
    assert (output.rgb[miss] == 0.5).all() and (output.depth[miss] == 0).all()
    along = (4 - distance.square()).sqrt()
    surface = along - (RADIUS**2 - distance.square()).clamp(min=0).sqrt()
    torch.testing.assert_close(output.depth[hit][:, 0], surface[hit], atol=0.02, rtol=0)


def test_supersampling_counts_more_exactly() -> None:
    cameras = views(2, 32)
    truth = Raster(ssaa=16)(scene(), cameras).opacity
    error = lambda ssaa: (Raster(ssaa=ssaa)(scene(), cameras).opacity - truth).square().mean().item()
    assert error(4) < 0.1 * error(1)


def test_normals_come_when_asked_for_or_lit() -> None:
    cameras = views(2, 49)
    assert Raster()(scene(), cameras).normal is None
    assert Raster()(scene(material=DiffusePointLight()), cameras).normal is not None
    middle = Raster(normals=True)(scene(), cameras).normal[:, 24, 24]
    torch.testing.assert_close(middle, nn.functional.normalize(cameras.position, dim=-1), atol=0.05, rtol=0)


def test_a_lit_ball_is_bright_in_the_middle_and_dark_at_its_rim() -> None:
    lit = Scene(Shell(ball(4)), DiffusePointLight(ambient=0.1, diffuse=0.9), SolidBackground((0.0, 0.0, 0.0)))
    red = Raster()(lit, views(1, 49)).rgb[0, 24, :, 0]
    seen = red[red > 0]
    assert red[24] > 0.95 and seen[0] < 0.6 and seen[-1] < 0.6


def test_a_textureless_render_shows_the_shape_alone_and_an_unlit_one_the_colour_alone(rng: torch.Generator) -> None:
    """The schedules of DreamFusion and MVDream set these probabilities."""
    shown, cameras = scene(material=DiffusePointLight(textureless_probability=1.0)), views(4, 24)
    material, inside = shown.material, distances(cameras) < 0.4
    material.diffuse_probability = 1.0
    white = Raster()(shown, cameras, rng).rgb[inside]
    torch.testing.assert_close(white, white[:, :1].expand(-1, 3))
    assert white.std() > 0.05
    material.textureless_probability, material.soft_shading = 0.0, True
    soft = Raster()(shown, cameras, rng).rgb[inside]
    assert soft[:, 0].std() > 0.01 and soft[:, 1:].max() < 1e-3
    material.diffuse_probability = 0.0
    torch.testing.assert_close(Raster()(shown, cameras, rng).rgb[inside], torch.tensor([[1.0, 0, 0]]).expand_as(soft))


@pytest.mark.parametrize("renderer", [Raster, lambda: Volume(OccupancyGrid())])
def test_either_renderer_shows_a_chrome_ball_what_is_around_it(renderer: Callable[[], Renderer]) -> None:
    """Against the mirror direction of the ball of radius 0.3, computed here."""
    material, cameras = PhysicallyBased(studio(), least_roughness=0.0), views(1, 49)
    chrome = torch.tensor([20.0, 20.0, 20.0, -20.0, 20.0])
    geometry = Chrome(ball(5, 0.3), chrome)
    picture = renderer()(Scene(geometry, material, SolidBackground()), cameras).rgb[0]
    rays, inside = cameras.rays(), distances(cameras)[0] < 0.22
    origin, direction = rays.origins[0][inside], rays.directions[0][inside]
    along = -(origin * direction).sum(dim=-1, keepdim=True)
    point = origin + (along - (0.09 - distances(cameras)[0][inside][:, None] ** 2).sqrt()) * direction
    normal = nn.functional.normalize(point, dim=-1)
    mirror = direction - 2 * (direction * normal).sum(dim=-1, keepdim=True) * normal
    expected = srgb_from_linear(material.environment.reflection(mirror, torch.zeros(len(mirror))))
    assert expected.std() > 0.1
    assert (picture[inside] - expected).abs().mean() < 0.03


def test_features_are_evaluated_where_something_is_seen_and_nowhere_else() -> None:
    shown, cameras = scene(), views(2, 32)
    asked = []
    shown.geometry.features = lambda x: asked.append(len(x)) or x
    opacity = Raster()(shown, cameras).opacity
    assert asked == [int((opacity >= 0.5).sum())]


def test_a_surface_and_its_texture_learn_from_the_picture(rng: torch.Generator) -> None:
    learnt = Scene(Shell(ball(3), color=None), Albedo(), LearnedBackground(random_probability=0.0))
    Raster()(learnt, views(), rng).rgb.square().mean().backward()
    gradients = {name: parameter.grad for name, parameter in learnt.named_parameters()}
    moved = {name for name, gradient in gradients.items() if gradient is not None and gradient.abs().sum() > 0}
    assert {"geometry.size", "geometry.texture.encoding.tables", "background.network.weights.0"} <= moved


def test_a_ball_grows_to_the_silhouette_it_is_shown() -> None:
    shown, cameras = scene(ball(3)), views(4, 32)
    with torch.no_grad():
        shown.geometry.size.copy_(0.8)
        target = Raster()(shown, cameras).opacity
        shown.geometry.size.copy_(0.5)
    optimizer = torch.optim.Adam(shown.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        (Raster()(shown, cameras).opacity - target).square().mean().backward()
        optimizer.step()
    assert shown.geometry.size.item() == pytest.approx(0.8, abs=0.005)


@pytest.mark.parametrize("material", [Albedo, DiffusePointLight])
def test_an_empty_surface_shows_the_background_and_training_goes_on(
    material: Callable[[], Material], rng: torch.Generator
) -> None:
    empty = Triangles(torch.empty(0, 3), torch.empty(0, 3, dtype=torch.long))
    shown = Scene(Shell(empty, color=None), material(), RandomBackground())
    output = Raster(normals=True)(shown, views(4), rng)
    assert (output.opacity == 0).all() and (output.rgb == output.rgb[:1, :1, :1]).all()
    output.rgb.mean().backward()


@pytest.mark.parametrize("backend", ["torch", "numba"])
def test_back_ends_render_the_same_to_the_last_bit(backend: str) -> None:
    shown, cameras = scene(box()), views(2, 24)
    picture, expected = Raster(backend=backend)(shown, cameras), Raster()(shown, cameras)
    assert torch.equal(picture.rgb, expected.rgb) and torch.equal(picture.depth, expected.depth)


def test_nvdiffrast_is_named_where_it_is_insisted_on_and_missing() -> None:
    if torch.cuda.is_available():
        pytest.skip("nvdiffrast may be here")
    with pytest.raises(UserError, match=r"renderer\.backend=cuda .*nvdiffrast.*pip install"):
        Raster(backend="cuda")


def test_a_field_without_a_surface_is_named() -> None:
    with pytest.raises(UserError, match="ImplicitVolume has no surface"):
        Raster()(volume_scene(), views())
    with pytest.raises(UserError, match="Shell has no density"):
        Volume.update(Volume.__new__(Volume), 0, scene(), torch.Generator())
