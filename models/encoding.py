"""Points to the features that a field's network reads."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from models.backends import Backend


@runtime_checkable
class Encoding(Protocol):
    """Of points in the unit cube."""

    backend: Backend
    n_output: int

    def __call__(self, x: Float[Tensor, "n 3"], known: Float[Tensor, "n f"] | None = None) -> Float[Tensor, "n f"]:
        """known: this encoding of x, computed before without gradient; may save doing it again."""
        ...

    def with_jacobian(self, x: Float[Tensor, "n 3"]) -> tuple[Float[Tensor, "n f"], Float[Tensor, "n f 3"]]:
        """The features and their derivatives with respect to x, both differentiable in the encoding's parameters."""
        ...
