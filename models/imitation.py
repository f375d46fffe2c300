"""A field learns what another one shows, whatever both are made of: how a volume becomes one of another kind."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from models.geometry import DensityField, Geometry
from models.shapes import signed_distance

log = logging.getLogger(__name__)
LR = 0.01
PART = 2**16  # points asked at a time
STEP = 1 / 18  # of the radius: over which opacities are compared, about a sample's length
SOFTNESS = 1 / 60  # of the radius: the width of a surface that becomes a density,
INWARD = 1.5  # so many widths inside of it: rays that pass by through the soft rim would else add up to an outline


@dataclass(frozen=True)
class _Lesson:
    """What the teacher shows at points of the scene."""

    points: Float[Tensor, "n 3"]
    alpha: Float[Tensor, "n"]
    features: Float[Tensor, "n f"]


def imitate(student: DensityField, teacher: Geometry, steps: int = 400, n_points: int = 2**17, seed: int = 0) -> None:
    """Adam on the squared errors of opacities, and of squashed features where there is matter, at random points: half
    of them anywhere in the scene, half where the teacher has matter."""
    assert isinstance(student, nn.Module)
    rng = torch.Generator().manual_seed(seed)
    lesson = _lesson(teacher, student.radius, n_points, rng)
    matter = (lesson.alpha > 0.01).nonzero()[:, 0]
    optimiser = torch.optim.Adam(student.parameters(), lr=LR, betas=(0.9, 0.99), eps=1e-15)
    for step in range(steps):
        chosen = torch.randint(n_points, (2**13,), generator=rng)
        if len(matter):
            chosen = torch.cat([chosen, matter[torch.randint(len(matter), (2**13,), generator=rng)]])
        optimiser.param_groups[0]["lr"] = LR * (1 + math.cos(math.pi * step / steps)) / 2
        error = _error(student, lesson, chosen)
        optimiser.zero_grad()
        error.backward()
        optimiser.step()
        if (step + 1) % 100 == 0:
            log.info("  step %d/%d of learning the other scene by heart, error %.2g", step + 1, steps, error.item())


@torch.no_grad()
def _lesson(teacher: Geometry, radius: float, n: int, rng: torch.Generator) -> _Lesson:
    direction = nn.functional.normalize(torch.randn(n, 3, generator=rng), dim=1)
    points = direction * torch.rand(n, 1, generator=rng) ** (1 / 3) * min(radius, teacher.radius)
    features = torch.cat([teacher.features(x) for x in points.split(PART)])
    return _Lesson(points, _alpha(_density(teacher, points), radius), features)


def _density(teacher: Geometry, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
    """Of a surface: the Laplace distribution function of the signed distance (Yariv et al. 2021, VolSDF, eq. 2)."""
    if isinstance(teacher, DensityField):
        return torch.cat([teacher.density(part) for part in x.split(PART)])
    beta = SOFTNESS * teacher.radius
    distance = signed_distance(x, teacher.isosurface(0)) + INWARD * beta
    tail = torch.exp(-distance.abs() / beta) / 2
    return torch.where(distance < 0, 1 - tail, tail) / beta


def _error(student: DensityField, lesson: _Lesson, chosen: Tensor) -> Float[Tensor, ""]:
    alpha, wanted = lesson.alpha[chosen], lesson.features[chosen]
    field = student(lesson.points[chosen])
    n = min(field.features.shape[1], wanted.shape[1])
    color = (torch.sigmoid(field.features[:, :n]) - torch.sigmoid(wanted[:, :n])).square().mean(dim=1)
    return ((_alpha(field.density, student.radius) - alpha).square() + alpha * color).mean()


def _alpha(density: Float[Tensor, "n"], radius: float) -> Float[Tensor, "n"]:
    return -torch.expm1(-density * STEP * radius)
