"""Which triangle each pixel sees, and where on it."""

import math
from collections.abc import Callable

import numba
import pytest
import torch
from torch import Tensor

from data.cameras import look_at_origin
from models.triangles import Triangles
from renderers.rasterizing import barycentric, interpolate, visible
from renderers.rasterizing_numba import visible_numba
from tests.renderers.shapes import ball, box, cast, soup, toy, views

TWINS = [visible, visible_numba]
SHAPES: dict[str, Callable[[], Triangles]] = {
    "ball": lambda: ball(4),
    "box": box,
    "soup": lambda: soup(torch.Generator().manual_seed(1)),
    "dog": lambda: toy("a red dog wearing a blue hat"),
    "car": lambda: toy("a green car"),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_pixels_see_what_a_ray_caster_says(shape: str) -> None:
    surface, cameras = SHAPES[shape](), views(6, 96, 128)
    seen = visible_numba(cameras.project(surface.vertices), surface.faces, 96, 128)
    expected = cast(surface, cameras)
    covered = (expected >= 0).float().mean()
    assert 0.05 < covered < 0.9
    assert ((seen >= 0) == (expected >= 0)).float().mean() >= 0.999
    assert (seen == expected).float().mean() >= 0.995


@pytest.mark.parametrize("shape", ["box", "soup", "ball"])
def test_numba_sees_the_same_triangles_as_the_definition(shape: str) -> None:
    surface, cameras = SHAPES[shape](), views(2, 24, 40)
    projected = cameras.project(surface.vertices)
    value = visible_numba(projected, surface.faces, 24, 40)
    assert torch.equal(value, visible(projected, surface.faces, 24, 40))


@pytest.mark.parametrize("see", TWINS)
def test_pixels_on_shared_edges_are_drawn_once(see: Callable[..., Tensor]) -> None:
    """A square in 8 triangles whose edges run through pixel centres: each pixel is in exactly one of them."""
    grid = torch.tensor([[x, y, 2.0] for y in (0.5, 4.5, 8.5) for x in (0.5, 4.5, 8.5)])
    cells = [(c + 3 * r, c + 3 * r + 1, c + 3 * r + 3, c + 3 * r + 4) for r in (0, 1) for c in (0, 1)]
    faces = torch.tensor([face for a, b, c, d in cells for face in ((a, b, c), (b, d, c))])
    count = sum((see(grid[None], face[None], 9, 9) >= 0).long() for face in faces)
    assert torch.equal(count, (see(grid[None], faces, 9, 9) >= 0).long())
    assert count.sum() == 64 and count.max() == 1


@pytest.mark.parametrize("seed", range(3))
def test_a_closed_surface_has_no_cracks(seed: int) -> None:
    """Seen from inside, a ball with its corners shaken fills every picture."""
    generator, surface = torch.Generator().manual_seed(seed), ball(4)
    vertices = surface.vertices * (1 + 0.05 * torch.rand(len(surface.vertices), 1, generator=generator))
    local = torch.rand(4, generator=generator)
    cameras = look_at_origin(6 * local, local - 0.5, 0.01 + 0.1 * local, torch.full((4,), 1.5), 128, 128)
    assert (visible_numba(cameras.project(vertices), surface.faces, 128, 128) >= 0).all()


@pytest.mark.parametrize("see", TWINS)
def test_the_nearest_is_seen_then_the_first(see: Callable[..., Tensor]) -> None:
    wide = torch.tensor([[-20.0, -20.0], [60.0, -20.0], [-20.0, 60.0]])
    depths = torch.tensor([3.0, 2.0, 2.0, 5.0])
    projected = torch.cat([wide.repeat(4, 1), depths.repeat_interleave(3)[:, None]], dim=1)
    faces = torch.arange(12).view(4, 3)
    assert (see(projected[None], faces, 8, 8) == 1).all()
    assert (see(projected[None], faces.flip(0), 8, 8) == 1).all()
    assert (see(projected[None], faces.flip(1), 8, 8) == 1).all(), "both sides are drawn"


@pytest.mark.parametrize("see", TWINS)
def test_crossing_triangles_are_parted_by_inverse_depth(see: Callable[..., Tensor]) -> None:
    """One at depth 2, one from depth 1 at column 0 to depth 4 at column 8: 1/depth is linear, they meet at 16/3."""
    flat = torch.tensor([[-20.0, -20.0, 2.0], [60.0, -20.0, 2.0], [-20.0, 60.0, 2.0]])
    slanted = torch.tensor([[0.0, -20.0, 1.0], [0.0, 20.0, 1.0], [8.0, -20.0, 4.0], [8.0, 20.0, 4.0]])
    faces = torch.tensor([[0, 1, 2], [3, 4, 5], [4, 5, 6]])
    seen = see(torch.cat([flat, slanted])[None], faces, 4, 8)[0]
    assert ((seen > 0) == (torch.arange(8) + 0.5 < 16 / 3)).all()


@pytest.mark.parametrize("see", TWINS)
@pytest.mark.parametrize("depth", [9e-4, 0.0, -1.0, math.nan])
def test_a_triangle_that_reaches_the_camera_is_not_drawn(see: Callable[..., Tensor], depth: float) -> None:
    corners = torch.tensor([[-20.0, -20.0, 1.0], [60.0, -20.0, 1.0], [-20.0, 60.0, depth]])
    assert (see(corners[None], torch.tensor([[0, 1, 2]]), 4, 4) == -1).all()


@pytest.mark.parametrize("see", TWINS)
def test_no_triangles_and_flat_triangles_are_not_seen(see: Callable[..., Tensor]) -> None:
    line = torch.tensor([[[0.5, 0.5, 1.0], [3.5, 3.5, 1.0], [2.5, 2.5, 1.0]]])
    assert (see(line, torch.tensor([[0, 1, 2]]), 4, 4) == -1).all()
    assert (see(torch.empty(2, 0, 3), torch.empty(0, 3, dtype=torch.long), 4, 4) == -1).all()


def test_interpolated_positions_are_where_rays_meet_the_plane() -> None:
    surface, cameras = soup(torch.Generator().manual_seed(2), 20), views(3, 48)
    projected = cameras.project(surface.vertices)
    face = visible_numba(projected, surface.faces, 48, 48)
    weight = barycentric(projected, surface.faces, face)
    points = interpolate(surface.vertices, surface.faces, face, weight)
    seen, rays = face >= 0, cameras.rays()
    corner, normal = surface.vertices[surface.faces[face, 0]], surface.face_normals()[face]
    t = ((corner - rays.origins) * normal).sum(dim=-1) / (rays.directions * normal).sum(dim=-1)
    met = rays.origins + t[..., None] * rays.directions
    torch.testing.assert_close(points[seen], met[seen], atol=1e-4, rtol=0)
    torch.testing.assert_close(weight.sum(dim=-1), seen.float())
    assert (points[~seen] == 0).all()


def test_attributes_have_the_gradients_of_finite_differences() -> None:
    surface, cameras = soup(torch.Generator().manual_seed(3), 6), views(2, 12)
    vertices = surface.vertices.double()
    face = visible_numba(cameras.project(surface.vertices), surface.faces, 12, 12)
    cameras = cameras._map(torch.Tensor.double)

    def attributes(vertices: Tensor) -> Tensor:
        projected = cameras.project(vertices)
        return interpolate(vertices.sin(), surface.faces, face, barycentric(projected, surface.faces, face)).sum(dim=0)

    inner = face.clone()
    inner[barycentric(cameras.project(vertices), surface.faces, face).amin(dim=-1) < 0.01] = -1
    face = inner
    assert (face >= 0).sum() > 20
    assert torch.autograd.gradcheck(attributes, vertices.requires_grad_(), eps=1e-6, atol=1e-5)


def test_the_number_of_threads_changes_nothing() -> None:
    surface, cameras = toy("a red dog wearing a blue hat"), views(2, 96)
    projected = cameras.project(surface.vertices)
    before = numba.get_num_threads()
    pictures = []
    for threads in {1, numba.config.NUMBA_NUM_THREADS}:
        numba.set_num_threads(threads)
        pictures += [visible_numba(projected, surface.faces, 96, 96) for _ in range(3)]
    numba.set_num_threads(before)
    assert all(torch.equal(pictures[0], picture) for picture in pictures)
