import math

import pytest
import torch

from models.geometry import BlobMagic3D, DensityField, FromShape, ImplicitVolume
from models.hashgrid import HashGrid
from models.normals import Analytic, FiniteDifferences, Normals
from models.sampled_shape import SampledShape, at_hand
from models.sdf_volume import Laplace, Logistic, Profile, SDFVolume
from models.shapes import Ellipsoid, Shape, Sphere
from models.triangles import EmptySurfaceError


def volume(shape: Shape | None = None, profile: Profile | None = None, normals: Normals | None = None) -> SDFVolume:
    return SDFVolume(HashGrid(backend="torch"), profile or Laplace(), shape, normals=normals)


def anywhere(rng: torch.Generator, n: int = 200) -> torch.Tensor:
    return torch.rand(n, 3, generator=rng) - 0.5


def test_it_is_a_density_field_that_starts_as_its_shape(rng: torch.Generator) -> None:
    geometry, points = volume(Sphere(0.3)), anywhere(rng)
    assert isinstance(geometry, DensityField)
    torch.testing.assert_close(geometry.signed_distance(points).detach(), Sphere(0.3)(points), atol=1e-3, rtol=0)
    surface = geometry.isosurface(48)
    torch.testing.assert_close(surface.vertices.norm(dim=1).mean().item(), 0.3, atol=2e-3, rtol=0)
    assert surface.volume == pytest.approx(4 / 3 * math.pi * 0.3**3, rel=0.02)


@pytest.mark.parametrize("profile", [Laplace(0.02), Logistic(0.02)])
def test_profiles_rise_from_nothing_to_one_over_beta_and_are_half_of_it_on_the_surface(profile: Profile) -> None:
    distance = torch.linspace(0.3, -0.3, 201)
    density = profile(distance)
    assert (density.diff() >= 0).all()
    assert density[[0, 100, 200]].tolist() == pytest.approx([0.0, 25.0, 50.0], abs=1e-3)


def test_laplace_is_its_cumulative_distribution() -> None:
    distance = torch.tensor([-0.2, -0.01, 0.03])
    expected = torch.distributions.Laplace(0.0, 0.05).cdf(-distance) / 0.05
    torch.testing.assert_close(Laplace(0.05)(distance), expected)


@pytest.mark.parametrize("normals", [Analytic(), FiniteDifferences()])
@pytest.mark.parametrize("shape", [Sphere(0.3), Ellipsoid((0.3, 0.3, 0.3))])
def test_normals_point_outward_and_gradients_are_those_of_the_distance(
    shape: Shape, normals: Normals, rng: torch.Generator
) -> None:
    points = anywhere(rng)
    points = points[points.norm(dim=1) > 0.1]
    field = volume(shape, normals=normals)(points, with_normal=True)
    outward = torch.nn.functional.normalize(points, dim=1)
    torch.testing.assert_close(field.gradient, outward, atol=3e-2, rtol=0)
    torch.testing.assert_close(field.normal, outward, atol=3e-2, rtol=0)


def test_gradients_reach_encoding_and_network(rng: torch.Generator) -> None:
    geometry = volume()
    geometry(anywhere(rng), with_normal=True).gradient.square().sum().backward()
    assert {name for name, p in geometry.named_parameters() if p.grad.abs().sum() > 0} == {
        "encoding.tables", "network.weights.0", "network.weights.1",
    }  # fmt: skip


def test_the_surface_closes_at_the_bounds_and_nothing_is_an_error() -> None:
    assert volume(Sphere(0.9)).isosurface(32).volume == pytest.approx(4 / 3 * math.pi * 0.6**3, rel=0.05)
    with pytest.raises(EmptySurfaceError, match="positive everywhere"):
        volume(lambda x: x.norm(dim=1) + 0.1).isosurface(16)


def test_closed_forms_are_kept_and_other_shapes_sampled_once(rng: torch.Generator) -> None:
    asked, points = [], anywhere(rng)

    def box(x: torch.Tensor) -> torch.Tensor:
        asked.append(len(x))
        return x.abs().amax(dim=1) - 0.3

    sampled = at_hand(box, 0.6)
    assert isinstance(at_hand(Sphere(), 0.6), Sphere) and isinstance(sampled, SampledShape)
    torch.testing.assert_close(sampled(points), points.abs().amax(dim=1) - 0.3, atol=0.02, rtol=0)
    skewed = SampledShape(lambda x: x @ torch.tensor([1.0, 2.0, 3.0]), 0.6)
    torch.testing.assert_close(skewed(points), points @ torch.tensor([1.0, 2.0, 3.0]), atol=1e-5, rtol=0)
    torch.testing.assert_close(skewed.slope(points), torch.tensor([[1.0, 2.0, 3.0]]).expand(200, 3), atol=1e-3, rtol=0)
    assert asked == [64**3] and list(sampled.state_dict()) == ["values"]


def test_a_density_starts_from_a_shape(rng: torch.Generator) -> None:
    points = anywhere(rng)
    cone = BlobMagic3D(scale=10.0, std=0.5)
    torch.testing.assert_close(FromShape(Sphere(0.5), scale=10.0, width=0.5)(points), cone(points))
    flat = ImplicitVolume(HashGrid(backend="torch"), FromShape(Ellipsoid((0.4, 0.3, 0.1)), width=0.02))
    size = torch.tensor(flat.isosurface(64).vertices.abs().amax(dim=0).tolist())
    torch.testing.assert_close(size, torch.tensor([0.4, 0.3, 0.1]), atol=0.03, rtol=0)
    normal = flat(torch.tensor([[0.0, 0.0, 0.1]]), with_normal=True).normal
    torch.testing.assert_close(normal, torch.tensor([[0.0, 0.0, 1.0]]), atol=0.01, rtol=0)
