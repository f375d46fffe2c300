import torch
from jaxtyping import Float
from torch import Tensor

from renderers.occupancy import OccupancyGrid


def ball(x: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
    return (x.norm(dim=-1) < 0.3).float()


def distances(grid: OccupancyGrid) -> Float[Tensor, "x y z"]:
    """Of the cells' centres from the origin."""
    n = grid.alpha.shape[0]
    axis = ((torch.arange(n) + 0.5) / n * 2 - 1) * grid.radius
    return torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1).norm(dim=-1)


def run(grid: OccupancyGrid, first: int, last: int) -> OccupancyGrid:
    for step in range(first, last):
        grid.update(step, ball, torch.Generator().manual_seed(step))
    return grid


def test_everything_is_occupied_before_the_first_update() -> None:
    assert OccupancyGrid().occupied.all()


def test_one_update_finds_a_ball_and_the_empty_space() -> None:
    grid = run(OccupancyGrid(), 0, 1)
    half_diagonal = 3**0.5 * 0.6 / 32
    assert grid.occupied[distances(grid) < 0.3 - half_diagonal].all()
    assert not grid.occupied[distances(grid) > 0.3 + half_diagonal].any()


def test_nothing_changes_between_updates() -> None:
    grid = run(OccupancyGrid(), 0, 1)
    before = grid.alpha.clone()
    assert torch.equal(run(grid, 1, 16).alpha, before)
    assert not torch.equal(run(grid, 16, 17).alpha, before)


def test_an_occupied_cell_is_never_lost_while_the_field_stays() -> None:
    grid = run(OccupancyGrid(warmup=64), 0, 64)
    inside = distances(grid) < 0.3 - 3**0.5 * 0.6 / 32
    for first in range(64, 640, 16):
        assert run(grid, first, first + 16).occupied[inside].all()


def test_matter_that_is_gone_decays_and_matter_that_appears_is_found() -> None:
    grid = OccupancyGrid(warmup=0, every=1)
    grid.alpha.fill_(1.0)
    grid = run(grid, 0, 150)
    empty = distances(grid) > 0.33
    assert grid.occupied[empty].float().mean() < 0.01
    assert grid.occupied[distances(grid) < 0.27].all()


def test_state_and_seed_decide_what_follows() -> None:
    whole = run(OccupancyGrid(warmup=16), 0, 100)
    resumed = OccupancyGrid(warmup=16)
    resumed.load_state_dict(run(OccupancyGrid(warmup=16), 0, 50).state_dict())
    run(resumed, 50, 100)
    assert torch.equal(resumed.alpha, whole.alpha) and torch.equal(resumed.occupied, whole.occupied)
