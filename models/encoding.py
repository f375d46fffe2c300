"""Points to the features that a field's network reads."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from models.backends import Backend
from models.mlp import MLP


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


def unit_cube(x: Float[Tensor, "n 3"], radius: float) -> Float[Tensor, "n 3"]:
    """From the cube around the scene, |x|_inf <= radius."""
    return x / (2 * radius) + 0.5


def encode_with_slope(
    encoding: Encoding, network: MLP, x: Float[Tensor, "n 3"], radius: float
) -> tuple[Float[Tensor, "n f"], Float[Tensor, "n 3"]]:
    """The encoding of x, and the gradient of network(encoding(x))[0], by the chain rule, with respect to x."""
    code, jacobian = encoding.with_jacobian(unit_cube(x, radius))
    # Feature by feature, as they come in memory: twice as fast
    slope = (jacobian.movedim(0, -1) * network.slope(code).t().contiguous()[:, None]).sum(dim=0).t()
    return code, slope / (2 * radius)
