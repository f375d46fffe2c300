import math

import pytest
import torch

from renderers.compositing import accumulate, visible, weights
from renderers.marching import Segments


def slab(density: float, n: int = 64, length: float = 1.0) -> tuple[torch.Tensor, Segments]:
    edges = torch.linspace(2, 2 + length, n + 1, dtype=torch.float64)
    return torch.full((n,), density, dtype=torch.float64), Segments(torch.zeros(n).long(), edges[:-1], edges[1:], 1)


@pytest.mark.parametrize("density", [0.0, 0.1, 1.0, 10.0, 1000.0])
def test_opacity_of_a_slab_is_one_minus_exp_of_its_depth(density: float) -> None:
    opacity = weights(*slab(density)).sum().item()
    assert opacity == pytest.approx(1 - math.exp(-density), abs=1e-9)


def test_weights_are_positive_and_sum_to_at_most_one(rng: torch.Generator) -> None:
    ray = torch.randint(0, 20, (500,), generator=rng).sort().values
    start = torch.arange(500.0)
    segments = Segments(ray, start, start + 0.1, 20)
    weight = weights(30 * torch.rand(500, generator=rng), segments)
    totals = accumulate(weight, torch.ones(500, 1), segments)
    assert (weight >= 0).all() and (totals <= 1 + 1e-6).all()


def test_rays_do_not_see_each_other() -> None:
    density, one = slab(5.0)
    two = Segments(torch.cat([one.ray, one.ray + 1]), one.t_start.repeat(2), one.t_end.repeat(2), 2)
    weight = weights(density.repeat(2), two)
    torch.testing.assert_close(weight[:64], weight[64:])


def test_an_opaque_sample_hides_what_is_behind_it() -> None:
    density, segments = slab(0.0, n=4)
    density[1], density[2] = 1e6, 1e6
    torch.testing.assert_close(weights(density, segments), torch.tensor([0.0, 1.0, 0.0, 0.0]).double())
    assert visible(density, segments, 0.01, 1e-4).tolist() == [False, True, False, False]


def test_gradients_of_the_definitions_are_exact(rng: torch.Generator) -> None:
    ray = torch.tensor([0, 0, 0, 2, 2, 3])
    start = torch.arange(6).double()
    segments = Segments(ray, start, start + 0.3, 4)
    density = torch.rand(6, generator=rng, dtype=torch.float64, requires_grad=True)
    values = torch.rand(6, 2, generator=rng, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda d, v: accumulate(weights(d, segments), v, segments), (density, values))
