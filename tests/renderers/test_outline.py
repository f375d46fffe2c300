"""Gradients of outlines against finite differences of pictures with many samples in each pixel."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from data.cameras import Cameras
from models.triangles import Triangles
from renderers.outline import antialias
from renderers.rasterizing import barycentric, interpolate
from renderers.rasterizing_numba import visible_numba
from tests.renderers.shapes import ball, box, toy, views

SIZE = 64
FINEST = 1024  # samples along each side of a picture
TRIANGLE = torch.tensor([[0.1, -0.5, -0.3], [-0.1, 0.45, -0.35], [0.2, 0.05, 0.5]])
COLORS = torch.tensor([[0.7, 0.4, 0.35], [0.35, 0.65, 0.4], [0.45, 0.4, 0.7]])
FACE = torch.tensor([[0, 1, 2]])
MOVES = {f"a corner along {axis}": (1, k) for k, axis in enumerate("xyz")}
MOVES |= {f"all along {axis}": (slice(None), k) for k, axis in enumerate("xyz")}


def coverage(face: Tensor, faces: Tensor, projected: Tensor) -> Tensor:
    return (face >= 0).float()[..., None]


def colored(face: Tensor, faces: Tensor, projected: Tensor) -> Tensor:
    """Interpolated colours in front of a slope, as a square loss against a picture sees them."""
    _, height, width = face.shape
    ground = torch.linspace(0, 1, width).expand(height, -1)[None, ..., None] * torch.tensor([0.2, 0.5, 0.9])
    seen = interpolate(COLORS, faces, face, barycentric(projected, faces, face))
    return torch.where(face[..., None] >= 0, seen, ground)


SOLIDS: dict[str, Callable[[], Triangles]] = {
    "box": box,
    "ball": lambda: ball(3),
    "fine ball": lambda: ball(5),
    "dog": lambda: toy("a red dog wearing a blue hat", 64),
}

Picture = Callable[[Tensor, Tensor, Tensor], Tensor]
LOSSES: dict[str, tuple[Picture, Callable[[Tensor], Tensor], int]] = {
    "coverage": (coverage, lambda image: image.mean(), SIZE),
    # Colours are taken half a pixel from the edge on average, so that their slopes count less the finer the picture
    "colored": (colored, lambda image: (image - 0.6).square().mean() + image[..., 0].mean(), 4 * SIZE),
}


def smooth(picture: Picture, vertices: Tensor, faces: Tensor, cameras: Cameras) -> Tensor:
    projected = cameras.project(vertices)
    face = visible_numba(projected, faces, cameras.height, cameras.width)
    return antialias(picture(face, faces, projected), face, projected, faces)


def sampled(picture: Picture, vertices: Tensor, faces: Tensor, cameras: Cameras) -> Tensor:
    fine = FINEST // cameras.height
    projected = cameras.project(vertices) * torch.tensor([fine, fine, 1.0])
    face = visible_numba(projected, faces, FINEST, FINEST)
    image = picture(face, faces, projected)
    return image.unflatten(2, (-1, fine)).unflatten(1, (-1, fine)).mean(dim=(2, 4))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("move", MOVES)
def test_gradients_of_a_triangle_are_those_of_finite_differences(loss: str, move: str) -> None:
    """To 5 % of the size of the gradient, from four cameras."""
    picture, scalar, size = LOSSES[loss]
    step = torch.zeros(3, 3)
    step[MOVES[move]] = 0.02
    for view in cameras_one_by_one(views(4, size)):
        vertices = TRIANGLE.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(scalar(smooth(picture, vertices, FACE, view)), vertices)
        ahead, behind = (scalar(sampled(picture, TRIANGLE + sign * step, FACE, view)) for sign in (1, -1))
        tolerance = 0.05 * (gradient.norm() * step.norm()).item()
        assert (gradient * step).sum().item() == pytest.approx((ahead - behind).item() / 2, abs=tolerance)


def cameras_one_by_one(cameras: Cameras) -> list[Cameras]:
    return [cameras[i : i + 1] for i in range(len(cameras))]


@pytest.mark.parametrize("shape", SOLIDS)
def test_a_growing_solid_covers_as_much_more_as_it_should(shape: str) -> None:
    """To 4 %. Also where parts hide each other, and where the outline's edges are of triangles that no pixel sees."""
    surface, cameras, size = SOLIDS[shape](), views(4, SIZE), torch.ones((), requires_grad=True)
    smooth(coverage, surface.vertices * size, surface.faces, cameras).mean().backward()
    ahead, behind = (
        sampled(coverage, surface.vertices * s, surface.faces, cameras).mean().item() for s in (1.01, 0.99)
    )
    assert size.grad.item() == pytest.approx((ahead - behind) / 0.02, rel=0.04)


@pytest.mark.parametrize("shape", SOLIDS)
def test_smooth_pictures_are_nearer_to_the_truth(shape: str) -> None:
    surface, cameras = SOLIDS[shape](), views(4, SIZE)
    truth = sampled(coverage, surface.vertices, surface.faces, cameras)
    face = visible_numba(cameras.project(surface.vertices), surface.faces, SIZE, SIZE)
    smoothed = smooth(coverage, surface.vertices, surface.faces, cameras)
    assert smoothed.min() >= 0 and smoothed.max() <= 1
    rough = (coverage(face, None, None) - truth).square().mean().sqrt()
    assert (smoothed - truth).square().mean().sqrt() < 0.4 * rough


def test_an_outline_in_front_of_another_surface_moves_that_surface_s_colour() -> None:
    """A small square at depth 1 in front of a large one at depth 2, 20.25 columns wide: its brightness is its area."""
    corner = lambda low, high, depth: [[x, y, depth] for x in (low, high) for y in (low, high)]
    front, back = corner(20.0, 40.25, 1.0), corner(5.0, 60.0, 2.0)
    projected = torch.tensor([front + back], requires_grad=True)
    faces = torch.tensor([[0, 1, 2], [1, 3, 2], [4, 5, 6], [5, 7, 6]])
    face = visible_numba(projected, faces, SIZE, SIZE)
    image = ((face >= 0) & (face < 2)).float()[..., None]
    total = antialias(image, face, projected, faces).sum()
    total.backward()
    assert total.item() == pytest.approx(20.25**2, rel=1e-2)
    assert projected.grad[0, 2:4, 0].sum().item() == pytest.approx(20.25, rel=0.03)
    assert (projected.grad[0, 4:] == 0).all(), "the outline of the large one parts nothing that differs"


def test_a_hidden_outline_moves_nothing() -> None:
    corner = lambda low, high, depth: [[x, y, depth] for x in (low, high) for y in (low, high)]
    projected = torch.tensor([corner(5.0, 60.0, 1.0) + corner(20.0, 40.0, 2.0)], requires_grad=True)
    faces = torch.tensor([[0, 1, 2], [1, 3, 2], [4, 5, 6], [5, 7, 6]])
    face = visible_numba(projected, faces, SIZE, SIZE)
    image = torch.rand(1, SIZE, SIZE, 3, generator=torch.Generator().manual_seed(0))
    antialias(image, face, projected, faces).square().sum().backward()
    assert (projected.grad[0, 4:] == 0).all() and projected.grad[0, :4].abs().sum() > 0


def test_inner_edges_and_crossed_pixels_keep_their_colours() -> None:
    """Only pixels at the outline change, and no colour leaves the range of those around it."""
    surface, cameras = ball(4), views(2, SIZE)
    projected = cameras.project(surface.vertices)
    face = visible_numba(projected, surface.faces, SIZE, SIZE)
    image = torch.rand(2, SIZE, SIZE, 3, generator=torch.Generator().manual_seed(0))
    changed = (antialias(image, face, projected, surface.faces) != image).any(dim=-1)
    covered = (face >= 0).float()[:, None]
    near = lambda x: torch.nn.functional.max_pool2d(x, 3, 1, 1)[:, 0] > 0
    assert changed.any() and (changed <= (near(covered) & near(1 - covered))).all()


def test_the_picture_has_its_own_gradient() -> None:
    surface, cameras = box(), views(1, 16)
    projected = cameras.project(surface.vertices)
    face = visible_numba(projected, surface.faces, 16, 16)
    image = torch.rand(1, 16, 16, 1, dtype=torch.float64, requires_grad=True)
    smoothed = lambda x: antialias(x, face, projected.double(), surface.faces)
    assert torch.autograd.gradcheck(smoothed, image)
    assert torch.autograd.grad(smoothed(image).sum(), image)[0].sum().item() == pytest.approx(image.numel())


def test_two_runs_are_bit_equal() -> None:
    surface, cameras = ball(4), views(2, SIZE)

    def gradient() -> Tensor:
        vertices = surface.vertices.clone().requires_grad_()
        smooth(coverage, vertices, surface.faces, cameras).square().sum().backward()
        return vertices.grad

    assert torch.equal(gradient(), gradient())
