from __future__ import annotations

import logging

import pytest
import torch
import trimesh

from models.triangles import Triangles
from models.unwrapping import Unwrapped, charts, grid, unwrap


def ball(subdivisions: int = 3) -> Triangles:
    mesh = trimesh.creation.icosphere(subdivisions, radius=0.4)
    return Triangles(torch.tensor(mesh.vertices.tolist()), torch.tensor(mesh.faces.tolist()))


def overlap(unwrapped: Unwrapped) -> float:
    """The share of random places in the texture that lie in more than one face."""
    places = torch.rand(4000, 1, 2, generator=torch.Generator().manual_seed(0))
    a, b, c = unwrapped.uv[unwrapped.faces][None].unbind(dim=2)
    side = lambda p, q: (q - p)[..., 0] * (places - p)[..., 1] - (q - p)[..., 1] * (places - p)[..., 0]
    sides = torch.stack([side(a, b), side(b, c), side(c, a)])
    inside = (sides > 1e-7).all(dim=0) | (sides < -1e-7).all(dim=0)
    return (inside.sum(dim=1) > 1).float().mean().item()


@pytest.mark.parametrize("how", ["charts", "grid"])
def test_faces_stay_and_lie_side_by_side_in_the_texture(how: str) -> None:
    surface = ball()
    found = charts(surface, 256, seconds=60.0) if how == "charts" else grid(surface, 256)
    assert torch.equal(found.vertex[found.faces], surface.faces)
    assert found.uv.min() >= 0 and found.uv.max() <= 1
    assert overlap(found) == 0


def test_charts_that_take_too_long_become_a_grid_with_a_word_about_it(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = unwrap(ball(), 256, seconds=0.01)
    assert found.by == "grid"
    assert "xatlas needs more than 0.01 s for 1280 faces" in caplog.text


def test_charts_are_the_same_each_time() -> None:
    once, again = (charts(ball(2), 128, seconds=60.0) for _ in range(2))
    assert torch.equal(once.uv, again.uv) and torch.equal(once.faces, again.faces)


def test_nearly_all_faces_share_a_cell_of_the_grid() -> None:
    surface = ball()
    corners = len(grid(surface, 256).vertex)
    assert corners < 2.2 * len(surface.faces)  # 2 per face if all are paired, 3 if none is


def test_a_bilinear_lookup_sees_no_other_cell() -> None:
    """Cells end 3/4 of a texel inside the texels that are theirs: the centres around any place in them are, too."""
    found = grid(ball(), 256)
    edges = (found.uv[:, 0] * found.size).mul(100).round().unique() / 100
    inside, between = edges.diff()[0::2], edges.diff()[1::2]
    assert torch.allclose(between, torch.tensor(1.5)) and (inside + 1.5 >= 4).all()
    assert torch.equal(edges[0::2].sub(0.75).round(decimals=2) % 1, torch.zeros(len(inside)))


def test_200_000_faces_need_a_larger_texture_and_no_time() -> None:
    rough = trimesh.creation.icosphere(7, radius=0.4)
    surface = Triangles(torch.from_numpy(rough.vertices).float(), torch.from_numpy(rough.faces))
    found = grid(surface, 1024)
    assert len(surface.faces) == 327_680 and 1024 < found.size < 2048
    assert torch.equal(found.vertex[found.faces], surface.faces)
