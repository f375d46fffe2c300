import math

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from models.geometry import BlobDreamFusion, BlobMagic3D, DensityBias, ImplicitVolume
from models.hashgrid import HashGrid
from models.mlp import MLP
from models.normals import Analytic, FiniteDifferences, Normals, direction


def volume(bias: DensityBias | None = None, normals: Normals | None = None, n_hidden: int = 1) -> ImplicitVolume:
    return ImplicitVolume(HashGrid(backend="torch"), bias or BlobMagic3D(), normals, n_hidden=n_hidden)


class _Slope(torch.nn.Module):
    """The slope as a module, so that its parameters can be handed in."""

    def __init__(self, geometry: ImplicitVolume) -> None:
        super().__init__()
        for name, child in geometry.named_children():
            self.add_module(name, child)
        self.of = lambda x: geometry.encode_with_slope(x)[1]

    def forward(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        return self.of(x)


def ball(rng: torch.Generator, n: int = 200) -> Float[Tensor, "n 3"]:
    return torch.nn.functional.normalize(torch.randn(n, 3, generator=rng), dim=-1) * 0.4


@pytest.mark.parametrize("bias", [BlobMagic3D(scale=10.0, std=0.5), BlobDreamFusion(scale=10.0, std=0.5)])
def test_a_fresh_field_is_a_soft_ball(bias: DensityBias) -> None:
    radii = torch.linspace(0, 0.6, 20)[:, None] * torch.tensor([[0.0, 0.6, 0.8]])
    density = volume(bias).density(radii).detach()
    assert density[0] == pytest.approx(10.0, abs=0.01)
    assert (density.diff() < 0).all()


def test_magic3d_blob_crosses_zero_at_its_std() -> None:
    assert BlobMagic3D(10.0, 0.5)(torch.tensor([[0.5, 0.0, 0.0]])).item() == pytest.approx(0.0)


def test_dreamfusion_blob_is_a_gaussian() -> None:
    value = BlobDreamFusion(10.0, 0.5)(torch.tensor([[0.0, 0.5, 0.0]])).item()
    assert value == pytest.approx(10 * math.exp(-0.5), rel=1e-5)


@pytest.mark.parametrize("normals", [Analytic(), FiniteDifferences()])
def test_normals_of_a_ball_point_outward(normals: Normals, rng: torch.Generator) -> None:
    points = ball(rng)
    normal = volume(normals=normals)(points, with_normal=True).normal
    torch.testing.assert_close(normal, points / 0.4, atol=1e-2, rtol=0)


@pytest.mark.parametrize("bias", [BlobMagic3D(scale=10.0, std=0.5), BlobDreamFusion(scale=10.0, std=0.5)])
@pytest.mark.parametrize("n_hidden", [0, 1, 3])
def test_slope_is_the_derivative_of_the_level(bias: DensityBias, n_hidden: int, rng: torch.Generator) -> None:
    geometry, points = volume(bias, n_hidden=n_hidden).double(), ball(rng).double().requires_grad_()
    with torch.no_grad():
        geometry.encoding.tables.mul_(1e4)
    raw = geometry.network(geometry.encode(points))[:, 0] + bias(points)
    (expected,) = torch.autograd.grad(raw.sum(), points)
    code, slope = geometry.encode_with_slope(points.detach())
    torch.testing.assert_close(slope, expected)
    assert torch.equal(code, geometry.encode(points))


def test_gradient_of_the_slope_is_exact(rng: torch.Generator) -> None:
    geometry, points = volume(n_hidden=2).double(), ball(rng, 20).double()
    names, values = zip(*geometry.named_parameters(), strict=True)
    values = [torch.randn(value.shape, generator=rng, dtype=value.dtype).requires_grad_() for value in values]
    slope = lambda *values: torch.func.functional_call(_Slope(geometry), dict(zip(names, values, strict=True)), points)
    assert torch.autograd.gradcheck(slope, values, fast_mode=True)


def test_finite_differences_on_the_bounding_cube_are_one_sided() -> None:
    corner = torch.full((1, 3), 0.6)
    _, slope = FiniteDifferences(1e-3)(volume(BlobMagic3D(100.0, 2.0)), corner, None)
    torch.testing.assert_close(slope, BlobMagic3D(100.0, 2.0).slope(corner), rtol=1e-2, atol=0)


def test_no_slope_has_no_direction_and_no_gradient() -> None:
    vectors = torch.tensor([[0.0, 0.0, 0.0], [0.0, 3.0, 4.0]], requires_grad=True)
    unit = direction(vectors)
    unit.sum().backward()
    assert unit[0].tolist() == [0.0, 0.0, 0.0] and unit[1].tolist() == pytest.approx([0.0, 0.6, 0.8])
    assert (vectors.grad[0] == 0).all() and vectors.grad.isfinite().all()


def test_density_alone_equals_density_of_the_sample(rng: torch.Generator) -> None:
    geometry, points = volume(), ball(rng)
    assert torch.equal(geometry.density(points), geometry(points).density)
    assert geometry(points).normal is None


def test_gradients_reach_encoding_and_network(rng: torch.Generator) -> None:
    geometry = volume()
    field = geometry(ball(rng))
    (field.density.sum() + field.features.sum()).backward()
    names = {name for name, parameter in geometry.named_parameters() if parameter.grad.abs().sum() > 0}
    assert names == {"encoding.tables", "network.weights.0", "network.weights.1"}


def test_mlp_maps_zero_to_zero_and_is_seeded() -> None:
    network = MLP(4, 2, hidden=8, n_hidden=2, seed=1)
    assert [tuple(weight.shape) for weight in network.weights] == [(8, 4), (8, 8), (2, 8)]
    assert torch.equal(network(torch.zeros(3, 4)), torch.zeros(3, 2))
    assert torch.equal(network(torch.ones(3, 4)), MLP(4, 2, hidden=8, n_hidden=2, seed=1)(torch.ones(3, 4)))


def test_separate_features_leave_the_density_its_own_network(rng: torch.Generator) -> None:
    geometry, points = ImplicitVolume(HashGrid(backend="torch"), BlobMagic3D(), separate_features=True), ball(rng)
    field = geometry(points)
    density = torch.autograd.grad(field.density.sum(), geometry.feature_network.weights, allow_unused=True)
    features = torch.autograd.grad(field.features.sum(), geometry.network.weights, allow_unused=True)
    assert density == features == (None, None)
    assert torch.equal(geometry.density(points), field.density) and field.features.shape == (200, 3)
    assert not torch.equal(geometry.network.weights[0], geometry.feature_network.weights[0])


def test_known_codes_give_separate_features_the_same_values(rng: torch.Generator) -> None:
    geometry, points = ImplicitVolume(HashGrid(backend="torch"), BlobMagic3D(), separate_features=True), ball(rng)
    with torch.no_grad():
        code = geometry.encode(points)
        assert torch.equal(geometry(points, code=code).features, geometry(points).features)
