"""Which way a field's surfaces face: two ways to its slope."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from data.ranges import PositiveFloat

TINY = 1e-6  # a slope below it has no direction


@runtime_checkable
class Sloped(Protocol):
    """A field whose surfaces are the level sets of a number."""

    radius: float

    def level(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]: ...

    def encode(self, x: Float[Tensor, "n 3"], code: Float[Tensor, "n c"] | None = None) -> Float[Tensor, "n c"]: ...

    def encode_with_slope(self, x: Float[Tensor, "n 3"]) -> tuple[Float[Tensor, "n c"], Float[Tensor, "n 3"]]:
        """What `encode` gives, and the gradient of what the field itself takes for its level, in closed form."""
        ...


@runtime_checkable
class Normals(Protocol):
    def __call__(
        self, field: Sloped, x: Float[Tensor, "n 3"], code: Float[Tensor, "n c"] | None
    ) -> tuple[Float[Tensor, "n c"], Float[Tensor, "n 3"]]:
        """The field's code of x, and the gradient of its level there; both differentiable in its parameters."""
        ...


class Analytic:
    """In closed form. No derivative is taken twice: the backward is an ordinary one."""

    def __call__(
        self, field: Sloped, x: Float[Tensor, "n 3"], code: Float[Tensor, "n c"] | None
    ) -> tuple[Float[Tensor, "n c"], Float[Tensor, "n 3"]]:
        return field.encode_with_slope(x)


class FiniteDifferences:
    """Central differences; on the scene's bounding cube, where one neighbour is missing, one-sided."""

    def __init__(self, step: PositiveFloat = 0.01) -> None:
        self.step = step

    def __call__(
        self, field: Sloped, x: Float[Tensor, "n 3"], code: Float[Tensor, "n c"] | None
    ) -> tuple[Float[Tensor, "n c"], Float[Tensor, "n 3"]]:
        step = self.step * torch.eye(3, device=x.device)
        neighbours = (x[:, None] + torch.cat([step, -step])).clamp(-field.radius, field.radius)
        plus, minus = field.level(neighbours.flatten(0, 1)).view(-1, 2, 3).unbind(dim=1)
        ahead, behind = neighbours.view(-1, 2, 3, 3).diagonal(dim1=2, dim2=3).unbind(dim=1)
        return field.encode(x, code), (plus - minus) / (ahead - behind)


def direction(vectors: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
    """Unit vectors; 0, and no gradient, where there is no direction."""
    squared = vectors.square().sum(dim=-1, keepdim=True)
    clear = squared > TINY**2
    return torch.where(clear, vectors * torch.where(clear, squared, 1.0).rsqrt(), 0.0)
