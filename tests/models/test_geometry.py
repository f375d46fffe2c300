import math

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from models.geometry import BlobDreamFusion, BlobMagic3D, DensityBias, ImplicitVolume
from models.hashgrid import HashGrid
from models.mlp import MLP


def volume(bias: DensityBias | None = None) -> ImplicitVolume:
    return ImplicitVolume(HashGrid(backend="torch"), bias or BlobMagic3D())


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


def test_normals_of_a_ball_point_outward(rng: torch.Generator) -> None:
    points = ball(rng)
    normal = volume()(points, with_normal=True).normal
    torch.testing.assert_close(normal, points / 0.4, atol=1e-2, rtol=0)


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
