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


def run_with_jacobian(backend: Backend, grid: dict[str, int], points: torch.Tensor) -> list[torch.Tensor]:
    encoding = HashGrid(**grid, backend=backend)
    with torch.no_grad():
        encoding.tables.mul_(1e4)
    both = encoding.with_jacobian(points)
    weighted = [(value * torch.linspace(-1, 1, value.numel()).view_as(value)).sum() for value in both]
    (gradient,) = torch.autograd.grad(weighted[0] + 0.1 * weighted[1], encoding.tables)
    return [*(value.detach() for value in both), gradient]


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())
@pytest.mark.parametrize("backend", BACKENDS)
def test_encoding_equals_its_definition(backend: Backend, grid: dict[str, int], rng: torch.Generator) -> None:
    device = "cuda" if backend == "cuda" else "cpu"
    points = (torch.rand(5000, 3, generator=rng) * 1.2 - 0.1).to(device)  # some outside the cube
    if backend == "cuda":
        points = points.clamp(0, 1)
    for value, expected in zip(run(backend, grid, points), run("torch", grid, points), strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())
def test_jacobian_equals_its_definition(grid: dict[str, int], rng: torch.Generator) -> None:
    points = torch.rand(5000, 3, generator=rng) * 1.2 - 0.1
    value, expected = (run_with_jacobian(backend, grid, points) for backend in ("numba", "torch"))
    torch.testing.assert_close(value[0], expected[0], rtol=1e-4, atol=1e-4)
    # A point on a face of a cell has two derivatives; rounding decides which
    scale = expected[1].abs().amax()
    assert ((value[1] - expected[1]).abs().flatten(1).amax(dim=1) > 1e-4 * scale).float().mean() < 1e-3


def test_gradient_of_the_jacobian_equals_its_definition(rng: torch.Generator) -> None:
    points = torch.rand(5000, 3, generator=rng) * 1.2 - 0.1
    value, expected = (run_with_jacobian(backend, {}, points)[2] for backend in ("numba", "torch"))
    torch.testing.assert_close(value, expected, rtol=1e-3, atol=1e-3 * expected.abs().max().item())


def test_known_features_are_taken_and_have_the_same_gradient(rng: torch.Generator) -> None:
    encoding, points = HashGrid(backend="numba"), torch.rand(5000, 3, generator=rng)
    features = encoding(points)
    known = encoding(points, features.detach())
    gradients = [torch.autograd.grad(value.square().sum(), encoding.tables)[0] for value in (features, known)]
    assert torch.equal(known, features) and torch.equal(*gradients)


def test_two_runs_are_bit_equal(rng: torch.Generator) -> None:
    points = torch.rand(30000, 3, generator=rng)
    for call in (run, run_with_jacobian):
        first, second = call("numba", {}, points), call("numba", {}, points)
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_no_points_and_nan_points_are_harmless() -> None:
    encoding = HashGrid(backend="numba")
    assert encoding(torch.empty(0, 3)).shape == (0, 16)
    assert encoding.with_jacobian(torch.empty(0, 3))[1].shape == (0, 16, 3)
    for value in (
        encoding(torch.full((4, 3), float("nan"))),
        *encoding.with_jacobian(torch.full((4, 3), float("nan"))),
    ):
        assert value.isfinite().all()
