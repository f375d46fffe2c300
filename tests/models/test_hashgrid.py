import numpy as np
import pytest
import torch
from torch import Tensor

from data.errors import UserError
from models.backends import Backend
from models.hashgrid import HashGrid, Levels, encode_torch, jacobian_torch

LEVELS = Levels.geometric(n_levels=4, base_resolution=4, finest_resolution=32, log2_table_size=10)


def tables(generator: torch.Generator, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(int(LEVELS.size.sum()), 2, generator=generator, dtype=dtype)


def test_resolutions_of_the_paper_configuration() -> None:
    levels = Levels.geometric(n_levels=16, base_resolution=16, finest_resolution=4096, log2_table_size=19)
    expected = [16, 24, 34, 49, 71, 102, 148, 213, 308, 446, 646, 934, 1352, 1956, 2831, 4096]
    assert levels.resolution.tolist() == expected
    assert 2 * levels.size.sum() == pytest.approx(12.6e6, rel=0.01)


def test_levels_that_fit_are_dense_and_larger_ones_hashed() -> None:
    assert LEVELS.hashed.tolist() == [False, False, True, True]
    assert (LEVELS.size <= 2**10).all()
    assert LEVELS.offset.tolist() == [0, *np.cumsum(LEVELS.size)[:-1].tolist()]


def test_equal_entries_give_a_constant(rng: torch.Generator) -> None:
    ones = torch.ones(int(LEVELS.size.sum()), 2)
    encoded = encode_torch(torch.rand(100, 3, generator=rng), ones, LEVELS)
    torch.testing.assert_close(encoded, torch.ones(100, 8))


def test_a_vertex_takes_its_entry(rng: torch.Generator) -> None:
    table = tables(rng)
    x, y, z = 1, 2, 0  # vertex of level 0: scale 3, resolution 4
    point = (torch.tensor([[x, y, z]]) - 0.5) / 3
    point[0, 2] = 0.5 / 3  # the centre of the bounded axis: vertex 1
    encoded = encode_torch(point, table, LEVELS)[0, :2]
    torch.testing.assert_close(encoded, table[x + 4 * (y + 4 * 1)])


def test_encoding_is_continuous_across_cells(rng: torch.Generator) -> None:
    table = tables(rng)
    line = torch.linspace(0, 1, 20001)[:, None].expand(-1, 3).contiguous()
    steps = encode_torch(line, table, LEVELS).diff(dim=0).abs()
    assert steps.max() < 0.02


def test_gradient_of_the_definition_is_exact(rng: torch.Generator) -> None:
    points = torch.rand(5, 3, generator=rng, dtype=torch.float64)
    table = tables(rng, torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda t: encode_torch(points, t, LEVELS), table, fast_mode=True)


def test_jacobian_of_the_definition_is_its_derivative(rng: torch.Generator) -> None:
    points = (torch.rand(50, 3, generator=rng, dtype=torch.float64) * 1.2 - 0.1).requires_grad_()
    table = tables(rng, torch.float64)
    features, jacobian = jacobian_torch(points.detach(), table, LEVELS)
    expected = encode_torch(points, table, LEVELS)
    assert torch.equal(features, expected)
    rows = [torch.autograd.grad(column.sum(), points, retain_graph=True)[0] for column in expected.unbind(dim=1)]
    torch.testing.assert_close(jacobian, torch.stack(rows, dim=1))
    outside = (points < 0) | (points > 1)
    assert outside.any() and (jacobian.movedim(1, -1)[outside] == 0).all()


def test_gradient_of_the_jacobian_is_exact(rng: torch.Generator) -> None:
    points = torch.rand(5, 3, generator=rng, dtype=torch.float64)
    table = tables(rng, torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda t: jacobian_torch(points, t, LEVELS), table, fast_mode=True)


def test_equal_seeds_give_equal_tables() -> None:
    assert torch.equal(HashGrid(seed=3).tables, HashGrid(seed=3).tables)
    assert not torch.equal(HashGrid(seed=3).tables, HashGrid(seed=4).tables)


@pytest.mark.skipif(torch.cuda.is_available(), reason="tinycudann may be installed")
def test_missing_cuda_library_names_its_install_line() -> None:
    with pytest.raises(UserError, match=r"pip install .*tiny-cuda-nn"):
        HashGrid(backend="cuda")


def test_other_widths_than_two_features_run_on_the_definition(rng: torch.Generator) -> None:
    points = torch.rand(10, 3, generator=rng)
    with pytest.warns(UserWarning, match=r"2 features per level.*n_features=2"):
        chosen = HashGrid(n_features=4, backend="auto")
    assert torch.equal(chosen(points), HashGrid(n_features=4, backend="torch")(points))
    with pytest.raises(UserError, match=r"renderer\.backend=numba .*geometry\.encoding\.n_features=2"):
        HashGrid(n_features=4, backend="numba")


@pytest.mark.parametrize("backend", ["torch", "numba"])
def test_levels_that_are_not_active_yet_are_zero_and_do_not_learn(backend: Backend, rng: torch.Generator) -> None:
    points = torch.rand(100, 3, generator=rng)
    encoding = HashGrid(n_levels=4, backend=backend)
    whole = encoding(points)
    encoding.active_levels = 3
    with torch.no_grad():
        code = encoding(points)
    known, jacobian = encoding.with_jacobian(points)
    assert (jacobian[:, 6:] == 0).all() and (jacobian[:, :6].flatten(1).abs().sum(dim=1) > 0).all()
    for features in (encoding(points), encoding(points, code), known):
        # To a bit of rounding: the kernel with the Jacobian is another, which a CPU with FMA may contract otherwise
        assert (features[:, :6] - whole[:, :6]).abs().max() <= 1e-6 * whole.abs().max()
        assert (features[:, 6:] == 0).all()
        (gradient,) = torch.autograd.grad(features.sum(), encoding.tables)
        learns = [gradient[a:b].abs().sum().item() > 0 for a, b in zip(*ends(encoding.levels), strict=True)]
        assert learns == [True, True, True, False]


def ends(levels: Levels) -> tuple[list[int], list[int]]:
    return levels.offset.tolist(), (levels.offset + levels.size).tolist()


def test_of_a_fraction_of_levels_the_whole_part_is_active(rng: torch.Generator) -> None:
    """As a linear schedule gives it."""
    encoding, x = HashGrid(n_levels=4, log2_table_size=8, backend="torch"), torch.rand(5, 3, generator=rng)
    encoding.active_levels = 2
    expected = encoding(x)
    encoding.active_levels = 2.9
    assert torch.equal(encoding(x), expected) and torch.equal(encoding.with_jacobian(x)[0], expected)
