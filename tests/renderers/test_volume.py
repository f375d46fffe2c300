import math

import pytest
import torch
from jaxtyping import Float
from torch import Tensor, nn

from data.cameras import Cameras, look_at_origin
from models.backends import Backend
from models.backgrounds import RandomBackground, SolidBackground
from models.geometry import BlobMagic3D, FieldSample, ImplicitVolume
from models.hashgrid import HashGrid
from models.isosurface import isosurface
from models.materials import Albedo, DiffusePointLight
from models.scene import Scene
from models.triangles import Triangles
from renderers.occupancy import OccupancyGrid
from renderers.output import Renderer, RenderOutput
from renderers.volume import Volume


class RedBall(nn.Module):
    """Opaque, radius 0.3, around `center`."""

    radius = 0.6

    def __init__(self, center: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> None:
        super().__init__()
        self.register_buffer("center", torch.tensor(center))

    def encode(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n 0"]:
        return x[:, :0]

    def density(self, x: Float[Tensor, "n 3"], code: Tensor | None = None) -> Float[Tensor, "n"]:
        return 1e4 * ((x - self.center).norm(dim=-1) < 0.3)

    def features(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        return self(x).features

    def isosurface(self, resolution: int, threshold: float | None = None) -> Triangles:
        return isosurface(self.density, self.radius, resolution, threshold, torch.device("cpu"))

    def forward(self, x: Float[Tensor, "n 3"], with_normal: bool = False, code: Tensor | None = None) -> FieldSample:
        normal = nn.functional.normalize(x - self.center, dim=-1) if with_normal else None
        return FieldSample(self.density(x), torch.tensor([20.0, -20.0, -20.0]).expand_as(x), normal)


def cameras(n: int = 2, size: int = 48, height: int | None = None) -> Cameras:
    angles = torch.arange(n) * math.pi / 2
    fov = torch.full((n,), math.radians(40))
    return look_at_origin(angles, torch.full((n,), 0.3), 1 / torch.tan(fov / 2), fov, height or size, size)


def volume(backend: Backend = "numba", **options: bool) -> Volume:
    return Volume(OccupancyGrid(), backend=backend, **options)


def trainable(backend: Backend = "numba") -> Scene:
    geometry = ImplicitVolume(HashGrid(backend=backend), BlobMagic3D())
    return Scene(geometry, Albedo(), RandomBackground())


def trained(backend: Backend) -> tuple[RenderOutput, dict[str, Tensor]]:
    """One step of a fresh scene: what it looks like, and the gradients of its brightness."""
    scene, renderer, rng = trainable(backend), volume(backend), torch.Generator().manual_seed(0)
    renderer.update(0, scene, rng)
    output = renderer(scene, cameras(), rng)
    output.rgb.square().sum().backward()
    return output, {name: parameter.grad for name, parameter in scene.named_parameters()}


def test_volume_is_a_renderer() -> None:
    assert isinstance(volume(), Renderer)


@pytest.mark.parametrize("center", [(0.0, 0.0, 0.0), (0.1, -0.2, 0.1)])
def test_a_ball_is_seen_where_its_projection_says(center: tuple[float, float, float]) -> None:
    scene, views = Scene(RedBall(center), Albedo(), SolidBackground()), cameras()
    output = volume()(scene, views)
    rays = views.rays()
    to_center = torch.tensor(center) - rays.origins
    along = (to_center * rays.directions).sum(dim=-1)
    distance = (to_center.square().sum(dim=-1) - along.square()).sqrt()
    hit, miss = distance < 0.29, distance > 0.301
    assert (output.opacity[hit] > 0.99).all() and (output.opacity[miss] == 0).all()
    torch.testing.assert_close(
        output.rgb[hit], torch.tensor([1.0, 0.0, 0.0]).expand(int(hit.sum()), 3), atol=1e-2, rtol=0
    )
    assert (output.rgb[miss] == 0.5).all()
    surface = along - (0.3**2 - distance.square()).clamp(min=0).sqrt()
    torch.testing.assert_close(output.depth[hit][:, 0], surface[hit], atol=0.03, rtol=0)


def test_normals_of_a_ball_face_the_camera_and_come_only_when_asked_for() -> None:
    scene, views = Scene(RedBall(), Albedo(), SolidBackground()), cameras()
    assert volume()(scene, views).normal is None
    output = volume(normals=True)(scene, views)
    middle = output.normal[:, 24, 24]
    facing = nn.functional.normalize(views.position, dim=-1)
    torch.testing.assert_close(middle, facing, atol=0.1, rtol=0)
    lit = Scene(RedBall(), DiffusePointLight(), SolidBackground())
    assert volume()(lit, views).normal is not None


def test_a_lit_ball_is_bright_in_the_middle_and_dark_at_its_rim() -> None:
    lit = Scene(RedBall(), DiffusePointLight(ambient=0.1, diffuse=0.9), SolidBackground((0.0, 0.0, 0.0)))
    red = volume()(lit, cameras(1)).rgb[0, 24, :, 0]
    seen = red[red > 0]
    assert red[24] > 0.95 and seen[0] < 0.6 and seen[-1] < 0.6


def test_torch_and_numba_render_and_learn_the_same() -> None:
    (numba, numba_gradients), (expected, gradients) = trained("numba"), trained("torch")
    torch.testing.assert_close(numba.rgb, expected.rgb, atol=1e-4, rtol=0)
    torch.testing.assert_close(numba.depth, expected.depth, atol=1e-3, rtol=0)
    for name, gradient in gradients.items():
        torch.testing.assert_close(numba_gradients[name], gradient, atol=1e-3 * gradient.abs().max().item(), rtol=1e-2)


def test_two_runs_are_bit_equal() -> None:
    (first, first_gradients), (second, second_gradients) = trained("numba"), trained("numba")
    assert torch.equal(first.rgb, second.rgb)
    assert all(torch.equal(first_gradients[name], second_gradients[name]) for name in first_gradients)


def test_occupancy_and_pruning_hardly_change_the_picture_of_a_solid() -> None:
    scene, pruned = trainable(), volume()
    scene.geometry.density_bias = BlobMagic3D(scale=300.0, std=0.35)
    for step in range(0, 256, 16):
        pruned.update(step, scene, torch.Generator().manual_seed(step))
    everything = Volume(OccupancyGrid(), alpha_threshold=0.0, stop_below=0.0, backend="numba")
    with torch.no_grad():
        difference = (pruned(scene, cameras()).opacity - everything(scene, cameras()).opacity).abs()
    assert difference.mean() < 1e-3 and (difference > 0.1).float().mean() < 1e-3


def test_chunks_change_nothing_and_keep_no_samples() -> None:
    scene = trainable()
    with torch.no_grad():
        whole = volume()(scene, cameras(3, height=20))
        parts = Volume(OccupancyGrid(), chunk=777, backend="numba")(scene, cameras(3, height=20))
    assert whole.rgb.shape == (3, 20, 48, 3) and whole.samples is None
    torch.testing.assert_close(whole.rgb, parts.rgb)


def test_samples_explain_the_image() -> None:
    output, _ = trained("numba")
    samples = output.samples
    opacity = torch.zeros(samples.n_rays).index_add(0, samples.ray, samples.weight)
    torch.testing.assert_close(opacity.view_as(output.opacity), output.opacity)
    assert samples.weight.requires_grad


def test_an_empty_scene_shows_its_background() -> None:
    scene, renderer = Scene(RedBall((5.0, 0.0, 0.0)), Albedo(), SolidBackground((0.2, 0.4, 0.6))), volume()
    renderer.update(0, scene, torch.Generator())
    output = renderer(scene, cameras())
    torch.testing.assert_close(output.rgb, torch.tensor([0.2, 0.4, 0.6]).expand_as(output.rgb))
    assert (output.opacity == 0).all()
