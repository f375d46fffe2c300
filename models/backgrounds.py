"""What rays see that leave the scene. Without `rng` (evaluation) nothing is drawn."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from data.ranges import Fraction, NonNegativeInt, PositiveInt
from models.mlp import MLP


@runtime_checkable
class Background(Protocol):
    def __call__(
        self, directions: Float[Tensor, "b h w 3"], rng: torch.Generator | None
    ) -> Float[Tensor, "b h w 3"]: ...


class SolidBackground(nn.Module):
    """One colour in [0, 1], the same in training and evaluation."""

    color: Float[Tensor, "3"]

    def __init__(self, color: tuple[float, float, float] = (0.5, 0.5, 0.5)) -> None:
        super().__init__()
        self.register_buffer("color", torch.tensor(color), persistent=False)

    def forward(self, directions: Float[Tensor, "b h w 3"], rng: torch.Generator | None) -> Float[Tensor, "b h w 3"]:
        return self.color.expand_as(directions)


class RandomBackground(nn.Module):
    """In training, with `probability`, one random colour per group of `group_size` images; else the solid colour."""

    def __init__(
        self,
        color: tuple[float, float, float] = (0.5, 0.5, 0.5),
        probability: Fraction = 1.0,
        group_size: PositiveInt = 4,
    ) -> None:
        super().__init__()
        self.solid = SolidBackground(color)
        self.probability, self.group_size = probability, group_size

    def forward(self, directions: Float[Tensor, "b h w 3"], rng: torch.Generator | None) -> Float[Tensor, "b h w 3"]:
        solid = self.solid(directions, rng)
        return solid if rng is None else _recolor(solid, self.probability, self.group_size, rng)


class LearnedBackground(nn.Module):
    """sigmoid(MLP(spherical harmonics of the direction)): a smooth environment; in training at times a random colour.

    The random colour keeps the object from hiding in the background (MVDream: probability 0.5).
    """

    def __init__(
        self,
        hidden: PositiveInt = 16,
        n_hidden: NonNegativeInt = 2,
        random_probability: Fraction = 0.5,
        group_size: PositiveInt = 4,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.network = MLP(9, 3, hidden, n_hidden, seed)
        self.random_probability, self.group_size = random_probability, group_size

    def forward(self, directions: Float[Tensor, "b h w 3"], rng: torch.Generator | None) -> Float[Tensor, "b h w 3"]:
        learned = torch.sigmoid(self.network(spherical_harmonics(directions)))
        return learned if rng is None else _recolor(learned, self.random_probability, self.group_size, rng)


def _recolor(
    images: Float[Tensor, "b h w 3"], probability: float, group_size: int, rng: torch.Generator
) -> Float[Tensor, "b h w 3"]:
    """Each group of consecutive images becomes, with `probability`, one random colour."""
    draws = torch.rand(-(-len(images) // group_size), 4, generator=rng, device=rng.device).to(images.device)
    draws = draws.repeat_interleave(group_size, dim=0)[: len(images), None, None]
    return torch.where(draws[..., :1] < probability, draws[..., 1:], images)


def spherical_harmonics(directions: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 9"]:
    """Real spherical harmonics of the bands 0, 1, 2 ("degree 3" in tiny-cuda-nn) of unit directions."""
    x, y, z = directions.unbind(dim=-1)
    basis = [
        torch.full_like(x, 0.28209479),
        -0.48860251 * y,
        0.48860251 * z,
        -0.48860251 * x,
        1.09254843 * x * y,
        -1.09254843 * y * z,
        0.94617470 * z * z - 0.31539157,
        -1.09254843 * x * z,
        0.54627421 * (x * x - y * y),
    ]
    return torch.stack(basis, dim=-1)
