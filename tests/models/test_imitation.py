from __future__ import annotations

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from models.dmtet import Tetrahedra
from models.geometry import BlobDreamFusion, BlobMagic3D, DensityBias, ImplicitVolume
from models.hashgrid import HashGrid
from models.imitation import imitate
from models.shapes import Sphere

CENTER = torch.tensor([0.2, 0.0, 0.0])


class Hard:
    """A ball off the middle, dense inside."""

    def __call__(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        return 300 * (0.2 - (x - CENTER).norm(dim=1))

    def slope(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        return -300 * torch.nn.functional.normalize(x - CENTER, dim=1)


def volume(bias: DensityBias, seed: int = 0, levels: int = 4) -> ImplicitVolume:
    encoding = HashGrid(n_levels=levels, log2_table_size=12, finest_resolution=24, backend="numba", seed=seed)
    return ImplicitVolume(encoding, bias, hidden=16, seed=seed)


@pytest.fixture
def teacher() -> ImplicitVolume:
    """Red where it is."""
    field = volume(Hard(), seed=1)
    with torch.no_grad():
        field.encoding.tables.fill_(1.0)
        field.network.weights[0].fill_(1.0)
        field.network.weights[1].copy_(torch.tensor([0.0, 1.0, -1.0, -1.0])[:, None].expand(4, 16) * 0.02)
    return field


def outline(field: ImplicitVolume, points: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
    return (field.density(points) > 10).float()


def test_a_volume_learns_another_kinds_shape_and_colours(teacher: ImplicitVolume, rng: torch.Generator) -> None:
    student = volume(BlobMagic3D())
    imitate(student, teacher, steps=150, n_points=2**15)
    points = torch.rand(4000, 3, generator=rng) - 0.5
    inside = (points - CENTER).norm(dim=1) < 0.2
    with torch.no_grad():
        assert (outline(student, points) == inside).float().mean() > 0.98
        colors = torch.sigmoid(student.features(points[inside]))
        wanted = torch.sigmoid(teacher.features(points[inside]))
    assert wanted[0, 0] > 0.7 and (colors - wanted).abs().mean() < 0.08


def test_a_volume_learns_a_surface(rng: torch.Generator) -> None:
    student = volume(BlobDreamFusion())
    imitate(student, Tetrahedra(volume(BlobMagic3D(), seed=2), Sphere(0.3), 12), steps=150, n_points=2**15)
    points = torch.rand(4000, 3, generator=rng) - 0.5
    with torch.no_grad():
        assert (outline(student, points) == (points.norm(dim=1) < 0.3)).float().mean() > 0.95


def test_the_same_lesson_gives_the_same_bits(teacher: ImplicitVolume) -> None:
    students = [volume(BlobMagic3D()) for _ in range(2)]
    for student in students:
        imitate(student, teacher, steps=3, n_points=2**12)
    one, other = (student.state_dict() for student in students)
    assert all(torch.equal(one[name], other[name]) for name in one)
