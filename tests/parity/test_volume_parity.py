"""Marching and compositing: numba against torch, and both against nerfacc's dense functions."""

import math
from collections.abc import Callable

import nerfacc
import pytest
import torch
from torch import Tensor

from models.backends import Backend
from renderers.kernels import TORCH, Kernels, load_nerfacc, load_numba
from renderers.marching import Segments

LOADERS = [
    load_numba,
    pytest.param(
        load_nerfacc,
        marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="nerfacc's kernels need a CUDA GPU"),
    ),
]
SCENE = {"radius": 0.6, "step": 1.2 / 64}


@pytest.fixture(params=LOADERS)
def twin(request: pytest.FixtureRequest) -> Kernels:
    return request.param()


def device(twin: Kernels) -> str:
    return "cpu" if "numba" in twin.weights.__module__ else "cuda"


def rays(rng: torch.Generator, n: int = 2000) -> tuple[Tensor, Tensor, Tensor]:
    origins = 2 * torch.nn.functional.normalize(torch.randn(n, 3, generator=rng), dim=-1)
    directions = torch.nn.functional.normalize(0.4 * torch.randn(n, 3, generator=rng) - origins, dim=-1)
    return origins, directions, torch.rand(n, generator=rng)


def marched(rng: torch.Generator) -> tuple[Segments, Tensor]:
    segments = TORCH.march(*rays(rng), torch.rand(32, 32, 32, generator=rng) < 0.5, **SCENE)
    return segments, 40 * torch.rand(len(segments.ray), generator=rng) ** 3


def to(segments: Segments, where: str) -> Segments:
    return Segments(segments.ray.to(where), segments.t_start.to(where), segments.t_end.to(where), segments.n_rays)


def gradients(function: Callable[..., Tensor], *inputs: Tensor) -> list[Tensor]:
    leaves = [tensor.clone().requires_grad_() for tensor in inputs]
    output = function(*leaves)
    weight = torch.linspace(-1, 1, output.numel(), device=output.device).view_as(output)
    return [output.detach(), *torch.autograd.grad((output * weight).sum(), leaves)]


def close(values: list[Tensor], expected: list[Tensor]) -> None:
    for value, reference in zip(values, expected, strict=True):
        torch.testing.assert_close(value.cpu(), reference, rtol=1e-4, atol=1e-5)


def test_numba_marches_exactly_as_the_definition(rng: torch.Generator) -> None:
    inputs, occupied = rays(rng), torch.rand(32, 32, 32, generator=rng) < 0.5
    value, expected = load_numba().march(*inputs, occupied, **SCENE), TORCH.march(*inputs, occupied, **SCENE)
    assert torch.equal(value.ray, expected.ray)
    assert torch.equal(value.t_start, expected.t_start) and torch.equal(value.t_end, expected.t_end)


def test_weights_equal_their_definition(twin: Kernels, rng: torch.Generator) -> None:
    segments, density = marched(rng)
    moved = to(segments, device(twin))
    values = gradients(lambda x: twin.weights(x, moved), density.to(device(twin)))
    close(values, gradients(lambda x: TORCH.weights(x, segments), density))


def test_accumulation_equals_its_definition(twin: Kernels, rng: torch.Generator) -> None:
    segments, density = marched(rng)
    moved, colors = to(segments, device(twin)), torch.rand(len(density), 5, generator=rng)
    weight = TORCH.weights(density, segments)
    inputs = weight.to(device(twin)), colors.to(device(twin))
    values = gradients(lambda w, c: twin.accumulate(w, c, moved), *inputs)
    close(values, gradients(lambda w, c: TORCH.accumulate(w, c, segments), weight, colors))


def test_visibility_equals_its_definition(twin: Kernels, rng: torch.Generator) -> None:
    segments, density = marched(rng)
    value = twin.visible(density.to(device(twin)), to(segments, device(twin)), 0.01, 1e-4)
    expected = TORCH.visible(density, segments, 0.01, 1e-4)
    assert 0.2 < expected.float().mean() < 0.8
    assert (value.cpu() != expected).float().mean() < 1e-4  # ties at a threshold may fall either way


@pytest.mark.parametrize("backend", ["torch", "numba"])
def test_compositing_equals_nerfacc(backend: Backend, rng: torch.Generator) -> None:
    kernels = load_numba() if backend == "numba" else TORCH
    n_rays, n_samples = 50, 20
    edges = torch.linspace(1, 2, n_samples + 1).expand(n_rays, -1)
    density = 20 * torch.rand(n_rays, n_samples, generator=rng) ** 2
    colors = torch.rand(n_rays, n_samples, 3, generator=rng)
    weight, _, _ = nerfacc.render_weight_from_density(edges[:, :-1], edges[:, 1:], density)
    ray = torch.arange(n_rays).repeat_interleave(n_samples)
    packed = Segments(ray, edges[:, :-1].flatten(), edges[:, 1:].flatten(), n_rays)
    torch.testing.assert_close(kernels.weights(density.flatten(), packed), weight.flatten())
    image = nerfacc.accumulate_along_rays(weight, colors)
    torch.testing.assert_close(kernels.accumulate(weight.flatten(), colors.flatten(0, 1), packed), image)
    seen = nerfacc.render_visibility_from_density(
        edges[:, :-1], edges[:, 1:], density, early_stop_eps=0.05, alpha_thre=0.1
    )
    assert torch.equal(kernels.visible(density.flatten(), packed, 0.1, 0.05), seen.flatten())


def test_numba_is_bit_equal_from_run_to_run(rng: torch.Generator) -> None:
    segments, density = marched(rng)
    kernels = load_numba()

    def render(x: Tensor) -> Tensor:
        return kernels.accumulate(kernels.weights(x, segments), torch.stack([x, x.sin()], dim=-1), segments)

    first, second = gradients(render, density), gradients(render, density)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_no_samples_give_a_black_image() -> None:
    none = Segments(torch.empty(0, dtype=torch.long), torch.empty(0), torch.empty(0), n_rays=7)
    for kernels in (TORCH, load_numba()):
        weight = kernels.weights(torch.empty(0), none)
        assert torch.equal(kernels.accumulate(weight, torch.empty(0, 4), none), torch.zeros(7, 4))
        assert math.prod(kernels.visible(torch.empty(0), none, 0.01, 1e-4).shape) == 0
