import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from models.color import linear_from_srgb, srgb_from_linear
from models.environment import Environment, studio
from models.materials import Material
from models.microfacets import Reflectance, distribution, shadowing
from models.physically_based import PhysicallyBased

EVEN = Environment(torch.ones(16, 32, 3))


def features(base: tuple[float, float, float], roughness: float, metallic: float) -> Tensor:
    """Those that a material without a least roughness makes this of."""
    logit = torch.logit(torch.tensor([*base, roughness, metallic]), eps=1e-6)
    return (logit + torch.tensor([0.0, 0.0, 0.0, -1.0, 2.0]))[None]


def angles(n: int = 30) -> tuple[Tensor, Tensor]:
    """Normals up, views from along them to grazing."""
    angle = torch.linspace(0, 0.49 * math.pi, n)
    return torch.tensor([[0.0, 0.0, 1.0]]).expand(n, 3), torch.stack([angle.sin(), 0 * angle, angle.cos()], dim=-1)


def test_colour_curves_are_inverse_and_have_gradients(rng: torch.Generator) -> None:
    color = torch.linspace(0, 1, 101, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(srgb_from_linear(linear_from_srgb(color)), color, atol=1e-6, rtol=0)
    assert srgb_from_linear(torch.tensor(0.5)).item() == pytest.approx(0.7354, abs=1e-4)
    (gradient,) = torch.autograd.grad(srgb_from_linear(color).sum(), color)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("roughness", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("cosine", [0.2, 0.6, 1.0])
def test_reflectance_is_the_integral_of_its_facets(roughness: float, cosine: float) -> None:
    """Over all directions of the light, on a fine grid: of all light, and of Fresnel's share for F0 = 0.04."""
    polar, azimuth = (torch.arange(400) + 0.5) * math.pi / 800, (torch.arange(800) + 0.5) * math.pi / 400
    polar, azimuth = torch.meshgrid(polar, azimuth, indexing="ij")
    light = torch.stack([polar.sin() * azimuth.cos(), polar.sin() * azimuth.sin(), polar.cos()], dim=-1)
    view = torch.tensor([math.sqrt(1 - cosine**2), 0.0, cosine])
    half = normalize(light + view, dim=-1)
    seen = 1 / (1 + shadowing(light[..., 2], roughness) + shadowing(view[2:], roughness))
    area = polar.sin() * (math.pi / 800) * (math.pi / 400)
    facets = distribution(half[..., 2], roughness) * seen / (4 * cosine) * area
    fresnel = 0.04 + 0.96 * (1 - (half @ view).clamp(min=0)) ** 5
    once = (facets * fresnel).sum().item()
    expected = once * (1 + 0.04 * (1 / facets.sum().item() - 1))
    found = Reflectance()(torch.tensor([cosine]), torch.tensor([roughness]), torch.tensor([[0.04]]))
    assert found.item() == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("metallic", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("roughness", [0.05, 0.5, 1.0])
def test_white_in_a_white_furnace_cannot_be_seen(metallic: float, roughness: float) -> None:
    material, (normal, view) = PhysicallyBased(EVEN, least_roughness=0.0), angles()
    white = features((1.0, 1.0, 1.0), roughness, metallic).expand(len(view), 5)
    light = material.radiance(white, normal, view, torch.zeros(len(view)))
    assert light.max() <= 1.01
    if metallic != 0.5:  # between the two, something is absorbed
        torch.testing.assert_close(light, torch.ones_like(light), atol=0.01, rtol=0)


def test_nothing_gives_back_more_than_it_receives(rng: torch.Generator) -> None:
    material, (normal, view) = PhysicallyBased(EVEN, least_roughness=0.0), angles(500)
    drawn = 4 * torch.randn(500, 5, generator=rng)
    light = material.radiance(drawn, normal, view, torch.zeros(500))
    assert (light >= 0).all() and light.max() <= 1.01


def test_a_polished_metal_mirrors_the_environment() -> None:
    environment, (normal, view) = studio(), angles()
    material = PhysicallyBased(environment, least_roughness=0.0)
    chrome = features((1.0, 1.0, 1.0), 0.0, 1.0).expand(len(view), 5)
    found = material.radiance(chrome, normal, view, torch.zeros(len(view)))
    mirror = view * torch.tensor([-1.0, 1.0, 1.0])
    expected = environment.reflection(mirror, torch.zeros(len(view)))
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0)


def test_metal_is_coloured_where_plastic_shines_white() -> None:
    """Black lacquer reflects all colours alike, 4 % of them; red metal reflects red alone."""
    material, view = PhysicallyBased(EVEN, least_roughness=0.0), torch.tensor([[0.0, 0.0, 1.0]])
    light = lambda *f: material.radiance(features(*f), view, view, torch.zeros(1))[0]
    torch.testing.assert_close(light((0.0, 0.0, 0.0), 0.1, 0.0), torch.full((3,), 0.04), atol=0.005, rtol=0)
    torch.testing.assert_close(light((1.0, 0.0, 0.0), 0.1, 1.0), torch.tensor([1.0, 0.0, 0.0]), atol=0.01, rtol=0)


def test_light_stands_still_in_evaluation_and_turns_in_training(rng: torch.Generator) -> None:
    material, camera = PhysicallyBased(studio(), group_size=4), torch.tensor([[2.0, 0.0, 0.5]]).expand(8, 3)
    assert isinstance(material, Material) and material.light(camera, None).needs_normals
    assert (material.light(camera, None).turn == 0).all()
    turn = material.light(camera, rng).turn.view(2, 4)
    assert (turn == turn[:, :1]).all() and turn[0, 0] != turn[1, 0]
    assert (PhysicallyBased(studio(), turn=False).light(camera, rng).turn == 0).all()


def test_turning_the_environment_is_turning_object_and_camera_the_other_way() -> None:
    material, normal = PhysicallyBased(studio()), normalize(torch.tensor([[0.5, 0.3, 0.4]]), dim=-1)
    eye, point, look = (
        torch.tensor([[2.0, 0.4, 0.3]]),
        torch.tensor([[0.1, 0.2, 0.3]]),
        features((0.8, 0.3, 0.2), 0.4, 0.3),
    )
    quarter = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    still = material.light(eye, None)
    other = material.light(eye @ quarter.T, None)
    other = type(other)(
        other.position, other.ambient, other.diffuse, camera=other.camera, turn=torch.tensor([math.pi / 2])
    )
    turned = material(look, point @ quarter.T, normal @ quarter.T, other)
    torch.testing.assert_close(turned, material(look, point, normal, still), atol=1e-5, rtol=0)


def test_each_point_is_seen_from_the_camera_of_its_image() -> None:
    material, normal = PhysicallyBased(studio()), torch.tensor([[0.0, 0.0, 1.0]]).repeat(2, 1)
    cameras = torch.tensor([[2.0, 0.0, 1.0], [-2.0, 0.3, 1.0]])
    look, points = features((0.5, 0.5, 0.5), 0.1, 1.0).expand(2, 5), torch.zeros(2, 3)
    both = material(look, points, normal, material.light(cameras, None).on(torch.tensor([0, 1])))
    alone = [material(look[:1], points[:1], normal[:1], material.light(c[None], None)) for c in cameras]
    torch.testing.assert_close(both, torch.cat(alone))
    assert not torch.allclose(both[0], both[1], atol=0.01)


def test_all_features_learn_and_no_points_are_no_trouble(rng: torch.Generator) -> None:
    material, camera = PhysicallyBased(studio()), torch.tensor([[2.0, 0.0, 0.5]])
    look = torch.randn(50, 5, generator=rng, requires_grad=True)
    normal = normalize(torch.randn(50, 3, generator=rng) + camera, dim=-1).requires_grad_()
    material(look, torch.zeros(50, 3), normal, material.light(camera, rng)).sum().backward()
    assert look.grad.isfinite().all() and (look.grad.abs().sum(dim=0) > 0).all() and normal.grad.isfinite().all()
    none = material(look[:0], torch.zeros(0, 3), normal[:0], material.light(camera, None))
    assert none.shape == (0, 3)


def test_export_gets_what_the_shading_uses() -> None:
    material = PhysicallyBased(studio(), least_roughness=0.1)
    assert material.roughness_metallic(torch.zeros(1, 5))[0].tolist() == pytest.approx([0.758, 0.119], abs=1e-3)
    assert material.roughness_metallic(torch.full((1, 5), -50.0))[0].tolist() == pytest.approx([0.1, 0.0])
