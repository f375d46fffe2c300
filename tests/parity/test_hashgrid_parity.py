"""The numba and CUDA encodings against the torch definition: values and gradients."""

import pytest
import torch

from models.backends import Backend
from models.hashgrid import HashGrid

GRIDS = {"default": {}, "hashed only": {"log2_table_size": 8}, "one level": {"n_levels": 1, "finest_resolution": 8}}
BACKENDS = [
    "numba",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="tinycudann needs a CUDA GPU")),
]


def run(backend: Backend, grid: dict[str, int], points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    encoding = HashGrid(**grid, backend=backend).to(points.device)
    with torch.no_grad():
        encoding.tables.mul_(1e4)
    features = encoding(points)
    weight = torch.linspace(-1, 1, features.numel(), device=points.device).view_as(features)
    (gradient,) = torch.autograd.grad((features * weight).sum(), encoding.tables)
    return features.detach(), gradient


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())
@pytest.mark.parametrize("backend", BACKENDS)
def test_encoding_equals_its_definition(backend: Backend, grid: dict[str, int], rng: torch.Generator) -> None:
    device = "cuda" if backend == "cuda" else "cpu"
    points = (torch.rand(5000, 3, generator=rng) * 1.2 - 0.1).to(device)  # some outside the cube
    if backend == "cuda":
        points = points.clamp(0, 1)
    for value, expected in zip(run(backend, grid, points), run("torch", grid, points), strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-4)


def test_known_features_are_taken_and_have_the_same_gradient(rng: torch.Generator) -> None:
    encoding, points = HashGrid(backend="numba"), torch.rand(5000, 3, generator=rng)
    features = encoding(points)
    known = encoding(points, features.detach())
    gradients = [torch.autograd.grad(value.square().sum(), encoding.tables)[0] for value in (features, known)]
    assert torch.equal(known, features) and torch.equal(*gradients)


def test_two_runs_are_bit_equal(rng: torch.Generator) -> None:
    points = torch.rand(30000, 3, generator=rng)
    first, second = run("numba", {}, points), run("numba", {}, points)
    assert torch.equal(first[0], second[0]) and torch.equal(first[1], second[1])


def test_no_points_and_nan_points_are_harmless() -> None:
    encoding = HashGrid(backend="numba")
    assert encoding(torch.empty(0, 3)).shape == (0, 16)
    assert encoding(torch.full((4, 3), float("nan"))).isfinite().all()
