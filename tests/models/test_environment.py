import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from models.environment import Environment, cells, studio, turned


def directions(rng: torch.Generator, n: int = 200) -> Tensor:
    return normalize(torch.randn(n, 3, generator=rng), dim=-1)


def painted(light: Tensor, height: int = 32) -> Environment:
    return Environment(light.view(height, 2 * height, -1).expand(-1, -1, 3))


def test_the_cells_fill_the_sphere() -> None:
    direction, area = cells(16, 32)
    assert area.sum().item() == pytest.approx(4 * math.pi, rel=1e-5)
    torch.testing.assert_close(
        direction.T @ (direction * area[:, None]), torch.eye(3) * 4 * math.pi / 3, atol=0.02, rtol=0
    )


@pytest.mark.parametrize("roughness", [0.0, 0.3, 1.0])
def test_an_even_environment_gives_the_same_light_to_all(roughness: float, rng: torch.Generator) -> None:
    even, seen = Environment(torch.full((32, 64, 3), 0.7)), directions(rng)
    torch.testing.assert_close(even.irradiance(seen), torch.full((200, 3), 0.7 * math.pi), atol=0.01, rtol=0)
    found = even.reflection(seen, torch.full((200,), roughness))
    torch.testing.assert_close(found, torch.full((200, 3), 0.7), atol=1e-4, rtol=0)


def test_irradiance_of_a_sky_that_brightens_upward_is_known(rng: torch.Generator) -> None:
    """L = 1 + l . z gives E = pi + 2 pi / 3 n . z; L = (l . z)^2 gives pi / 4 (1 + (n . z)^2)."""
    direction, _ = cells(32, 64)
    normal = directions(rng)
    z = normal[:, 2:].expand(-1, 3)
    linear, square = painted(1 + direction[:, 2:]), painted(direction[:, 2:] ** 2)
    torch.testing.assert_close(linear.irradiance(normal), math.pi + 2 * math.pi / 3 * z, atol=0.02, rtol=0)
    torch.testing.assert_close(square.irradiance(normal), math.pi / 4 * (1 + z**2), atol=0.01, rtol=0)


def test_irradiance_of_half_a_sphere_is_near_the_truth() -> None:
    """L = 1 above the horizon gives E = pi (1 + n . z) / 2: nine harmonics are within 3 % of pi."""
    direction, _ = cells(32, 64)
    angle = torch.linspace(0, math.pi, 50)
    normal = torch.stack([angle.sin(), torch.zeros(50), angle.cos()], dim=-1)
    found = painted((direction[:, 2:] > 0).float()).irradiance(normal)[:, 0]
    torch.testing.assert_close(found, math.pi * (1 + angle.cos()) / 2, atol=0.03 * math.pi, rtol=0)


def test_a_mirror_shows_the_environment_without_a_seam() -> None:
    """A smooth one, at and between the cells' centres, all the way round and at the poles."""
    direction, _ = cells(32, 64)
    picture = lambda d: 1 + 0.5 * d[:, :1] - 0.3 * d[:, 1:2] * d[:, 2:]
    seen = normalize(torch.randn(2000, 3, generator=torch.Generator().manual_seed(0)), dim=-1)
    seen = torch.cat([seen, torch.eye(3), -torch.eye(3)])
    found = painted(picture(direction)).reflection(seen, torch.zeros(len(seen)))
    torch.testing.assert_close(found, picture(seen).expand(-1, 3), atol=0.03, rtol=0)


def test_rougher_is_blurrier() -> None:
    environment = studio()
    seen, _ = cells(32, 64)
    contrast = [
        environment.reflection(seen, torch.full((len(seen),), r)).std(dim=0).mean() for r in torch.linspace(0, 1, 11)
    ]
    assert all(first > second for first, second in pairwise(contrast))


def test_a_lamp_is_where_it_was_put() -> None:
    seen, _ = cells(32, 64)
    brightest = seen[studio().reflection(seen, torch.zeros(len(seen))).sum(dim=-1).argmax()]
    toward = torch.tensor([math.cos(0.698) * math.cos(0.873), math.cos(0.698) * math.sin(0.873), math.sin(0.698)])
    assert brightest @ toward > math.cos(0.1)


def test_turning_is_a_rotation_about_the_vertical() -> None:
    torch.testing.assert_close(
        turned(torch.eye(3), torch.full((3,), math.pi / 2))[:2, :2], torch.tensor([[0.0, 1], [-1, 0]])
    )
    assert turned(torch.tensor([[0.3, 0.4, 0.5]]), torch.tensor([1.0])).norm().item() == pytest.approx(0.5**0.5)


def test_gradients_are_finite_everywhere() -> None:
    seen = torch.cat([torch.eye(3), -torch.eye(3)]).requires_grad_()
    environment, roughness = studio(), torch.linspace(0, 1, 6, requires_grad=True)
    (environment.reflection(seen, roughness).sum() + environment.irradiance(seen).sum()).backward()
    assert seen.grad.isfinite().all() and roughness.grad.isfinite().all() and roughness.grad.abs().sum() > 0
