import math

import pytest
import torch
from torch import Tensor

from data.cameras import Cameras, look_at_origin
from models.backgrounds import SolidBackground
from models.geometry import FromShape, ImplicitVolume
from models.hashgrid import HashGrid
from models.materials import Albedo
from models.scene import Scene
from models.shapes import Sphere
from renderers.compositing import weights
from renderers.importance import resample
from renderers.marching import Segments
from renderers.occupancy import OccupancyGrid
from renderers.volume import Volume


def segments(rng: torch.Generator, n_rays: int = 40, n: int = 30) -> tuple[Segments, Tensor]:
    """Some of the steps of some rays, and weights of which many are 0."""
    keep = torch.rand(n_rays, n, generator=rng) < 0.5
    keep[::7] = False
    ray, index = keep.nonzero().unbind(dim=1)
    start = 1 + 0.1 * index.float()
    weight = torch.rand(len(ray), generator=rng) * (torch.rand(len(ray), generator=rng) < 0.4)
    return Segments(ray, start, start + 0.1, n_rays), weight


@pytest.mark.parametrize("random", [False, True])
def test_each_ray_with_weight_gets_n_samples_in_order_where_its_weight_is(random: bool, rng: torch.Generator) -> None:
    given, weight = segments(rng)
    drawn = resample(weight, given, 12, rng if random else None)
    heavy = weight > 0
    rays, counts = torch.unique(drawn.ray, return_counts=True)
    assert torch.equal(rays, given.ray[heavy].unique()) and (counts == 12).all()
    same = (drawn.ray[:, None] == given.ray[heavy]) & (drawn.t_middle[:, None] >= given.t_start[heavy] - 1e-5)
    assert (same & (drawn.t_middle[:, None] <= given.t_end[heavy] + 1e-5)).any(dim=1).all()
    assert (drawn.t_middle.view(-1, 12).diff(dim=1) >= 0).all()


def test_the_samples_of_a_ray_are_together_as_long_as_what_they_stand_for(rng: torch.Generator) -> None:
    given, weight = segments(rng)
    drawn = resample(weight, given, 5, rng)
    sums = [torch.zeros(40).index_add(0, part.ray, (part.t_end - part.t_start)) for part in (drawn, given[weight > 0])]
    torch.testing.assert_close(*sums, atol=1e-5, rtol=0)


def test_half_of_the_samples_go_by_weight_and_half_by_length() -> None:
    start = torch.tensor([1.0, 2.0, 5.0])
    ray = Segments(torch.zeros(3, dtype=torch.long), start, start + 1, 1)
    drawn = resample(torch.tensor([0.1, 0.2, 0.7]), ray, 1000)
    counts = torch.histc(drawn.t_middle, bins=5, min=1, max=6)
    expected = [500 * (weight + 1 / 3) for weight in (0.1, 0.2, 0.0, 0.0, 0.7)]
    assert counts[[0, 1, 4]].tolist() == pytest.approx([expected[0], expected[1], expected[4]], abs=1)
    assert counts[2:4].sum() == 0


def test_constant_density_stops_the_same_light(rng: torch.Generator) -> None:
    given, _ = segments(rng)
    density = torch.full_like(given.t_start, 3.0)
    drawn = resample(weights(density, given), given, 7, rng)
    light = [
        torch.zeros(40).index_add(0, part.ray, weights(torch.full_like(part.t_start, 3.0), part))
        for part in (given, drawn)
    ]
    torch.testing.assert_close(*light, atol=1e-5, rtol=0)


def test_nothing_gives_nothing() -> None:
    none = Segments(torch.empty(0, dtype=torch.long), torch.empty(0), torch.empty(0), 3)
    assert len(resample(torch.empty(0), none, 4).ray) == 0


def views() -> Cameras:
    fov = torch.full((1,), math.radians(40))
    return look_at_origin(torch.zeros(1), torch.full((1,), 0.3), 1 / torch.tan(fov / 2), fov, 32, 32)


@torch.no_grad()
def test_a_solid_ball_looks_the_same_and_needs_fewer_samples() -> None:
    ball = ImplicitVolume(HashGrid(), FromShape(Sphere(0.35), scale=100.0, width=0.01))
    scene = Scene(ball, Albedo(), SolidBackground())

    def depth(n_samples: int, importance: int | None = None) -> Tensor:
        return Volume(OccupancyGrid(), n_samples, importance=importance)(scene, views()).depth

    exact = depth(512)
    error = lambda image: (image - exact).abs().mean().item()
    assert error(depth(256, 64)) < 1e-4
    assert error(depth(32, 8)) < 0.5 * error(depth(32))
    assert error(depth(32, 8)) < error(depth(64))
