"""The perceptrons of the back ends against the torch definition: values and gradients."""

import pytest
import torch

from models.mlp import MLP


def run_slope(backend: str, x: torch.Tensor, hidden: int, n_hidden: int) -> list[torch.Tensor]:
    network = MLP(x.shape[1], 4, hidden, n_hidden, backend=backend)
    slope = network.slope(x)
    weight = torch.linspace(-1, 1, slope.numel()).view_as(slope)
    return [slope.detach(), *torch.autograd.grad((slope * weight).sum(), list(network.weights))]


def run(backend: str, x: torch.Tensor, hidden: int, n_hidden: int) -> list[torch.Tensor]:
    network, x = MLP(x.shape[1], 4, hidden, n_hidden, backend=backend), x.clone().requires_grad_()
    out = network(x)
    weight = torch.linspace(-1, 1, out.numel()).view_as(out)
    return [out.detach(), *torch.autograd.grad((out * weight).sum(), [x, *network.weights])]


@pytest.mark.parametrize("n_hidden", [1, 2, 3])
@pytest.mark.parametrize(("n", "n_input", "hidden"), [(5000, 16, 32), (1, 6, 5), (0, 16, 32)])
def test_perceptron_equals_its_definition(
    n: int, n_input: int, hidden: int, n_hidden: int, rng: torch.Generator
) -> None:
    x = torch.randn(n, n_input, generator=rng)
    for call in (run, run_slope):
        for value, expected in zip(call("numba", x, hidden, n_hidden), call("torch", x, hidden, n_hidden), strict=True):
            torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("n_hidden", [1, 3])
def test_two_runs_are_bit_equal(n_hidden: int, rng: torch.Generator) -> None:
    x = torch.randn(30000, 16, generator=rng)
    for call in (run, run_slope):
        first, second = call("numba", x, 32, n_hidden), call("numba", x, 32, n_hidden)
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_bits_do_not_depend_on_the_number_of_threads(rng: torch.Generator) -> None:
    """39 inputs: those of a field with six bands of frequencies."""
    x, found = torch.randn(5000, 39, generator=rng), []
    before = torch.get_num_threads()
    for n_threads in (1, 3):
        torch.set_num_threads(n_threads)
        found.append(run("numba", x, 64, 3) + run_slope("numba", x, 64, 3))
    torch.set_num_threads(before)
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="tinycudann needs a CUDA GPU")
@pytest.mark.parametrize(("n_input", "hidden", "n_hidden"), [(16, 32, 1), (39, 64, 3), (6, 5, 2)])
def test_half_precision_is_near_the_definition(n_input: int, hidden: int, n_hidden: int, rng: torch.Generator) -> None:
    x = torch.randn(3000, n_input, generator=rng).cuda()
    outputs, inputs = [], []
    for backend in ("cuda", "torch"):
        network, leaf = MLP(n_input, 4, hidden, n_hidden, backend=backend).cuda(), x.clone().requires_grad_()
        outputs.append(network(leaf))
        inputs.append(torch.autograd.grad(outputs[-1].sum(), [leaf, *network.weights]))
    torch.testing.assert_close(*outputs, rtol=2e-2, atol=2e-2)
    for value, expected in zip(*inputs, strict=True):
        torch.testing.assert_close(value, expected, rtol=5e-2, atol=2e-2 * expected.abs().max().item())
