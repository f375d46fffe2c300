import math

import pytest
import torch

from models.encoding import Encoding
from models.frequencies import Frequencies
from models.hashgrid import HashGrid


@pytest.mark.parametrize("encoding", [Frequencies(), HashGrid(backend="torch")])
def test_both_are_encodings(encoding: torch.nn.Module, rng: torch.Generator) -> None:
    assert isinstance(encoding, Encoding)
    assert encoding(torch.rand(7, 3, generator=rng)).shape == (7, encoding.n_output)


def test_bands_double_their_frequency() -> None:
    point = torch.tensor([[0.75, 0.5, 0.25]])
    p = 2 * point - 1
    expected = [p, *(wave(2**band * math.pi * p) for band in range(3) for wave in (torch.sin, torch.cos))]
    torch.testing.assert_close(Frequencies(3)(point), torch.cat(expected, dim=1))


def test_width_is_the_mean_over_a_gaussian(rng: torch.Generator) -> None:
    point, width = torch.tensor([[0.6, 0.3, 0.45]]), 0.1
    around = point + width / 2 * torch.randn(400_000, 3, generator=rng)  # p = 2x - 1
    mean = Frequencies(4)(around).mean(dim=0, keepdim=True)
    torch.testing.assert_close(Frequencies(4, width=width)(point), mean, atol=5e-3, rtol=0)


def test_bands_come_in_softly_one_after_the_other(rng: torch.Generator) -> None:
    points, encoding = torch.rand(50, 3, generator=rng), Frequencies(3)
    whole = encoding(points)
    encoding.active_bands = 1.5
    part = encoding(points)
    assert torch.equal(part[:, :9], whole[:, :9]) and (part[:, 15:] == 0).all()
    torch.testing.assert_close(part[:, 9:15], 0.5 * whole[:, 9:15])


@pytest.mark.parametrize(("width", "active_bands"), [(0.0, None), (0.05, 2.3)])
def test_jacobian_is_the_derivative(width: float, active_bands: float | None, rng: torch.Generator) -> None:
    encoding = Frequencies(4, width, active_bands)
    points, step = torch.rand(20, 3, generator=rng, dtype=torch.float64), 1e-6
    features, jacobian = encoding.with_jacobian(points)
    shifts = step * torch.eye(3, dtype=torch.float64)
    columns = [(encoding(points + shift) - encoding(points - shift)) / (2 * step) for shift in shifts]
    assert torch.equal(features, encoding(points))
    torch.testing.assert_close(jacobian, torch.stack(columns, dim=-1), atol=1e-6, rtol=1e-6)


def test_a_known_code_is_taken(rng: torch.Generator) -> None:
    points, encoding = torch.rand(5, 3, generator=rng), Frequencies()
    code = encoding(points)
    assert encoding(points, code) is code
