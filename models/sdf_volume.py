"""Signed distances as densities, so that rays can be marched through a surface (VolSDF, StyleSDF)."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from data.ranges import NonNegativeInt, PositiveFloat, PositiveInt, ThreeOrMore
from models.encoding import Encoding, encode_with_slope
from models.geometry import EncodedField, FieldSample
from models.isosurface import zero_surface
from models.normals import Normals, direction, slope
from models.sampled_shape import at_hand
from models.shapes import Shape, Sphere
from models.triangles import Triangles


@runtime_checkable
class Profile(Protocol):
    """How density rises through the surface, to 1 / beta inside.

    beta, the surface's thickness, is for a schedule to lower, not learned: score distillation pays for fog, which a
    learned beta would give it; and the final one is known, a ray's step.
    """

    beta: float

    def __call__(self, distance: Float[Tensor, "n"]) -> Float[Tensor, "n"]: ...


class Laplace:
    """density = Psi(-s) / beta, Psi the cumulative distribution of Laplace(0, beta) (Yariv et al. 2021, VolSDF)."""

    def __init__(self, beta: PositiveFloat = 0.1) -> None:
        self.beta = beta

    def __call__(self, distance: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
        tail = torch.exp(-distance.abs() / self.beta) / 2
        return torch.where(distance > 0, tail, 1 - tail) / self.beta


class Logistic:
    """density = sigmoid(-s / beta) / beta (Or-El et al. 2022, StyleSDF)."""

    def __init__(self, beta: PositiveFloat = 0.1) -> None:
        self.beta = beta

    def __call__(self, distance: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
        return torch.sigmoid(-distance / self.beta) / self.beta


class SDFVolume(EncodedField):
    """s = shape(x) + network(encoding(x))[0], negative inside; density = profile(s). The network's other outputs, or
    those of a network of their own (separate_features), are the features.

    A fresh hash grid gives next to nothing, so that the surface begins as the shape. normals: analytic if None.
    """

    def __init__(
        self,
        encoding: Encoding,
        profile: Profile,
        shape: Shape | None = None,
        radius: PositiveFloat = 0.6,
        hidden: PositiveInt = 32,
        n_hidden: NonNegativeInt = 1,
        n_features: ThreeOrMore = 3,
        normals: Normals | None = None,
        separate_features: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(encoding, radius, (hidden, n_hidden), n_features, normals, separate_features, seed)
        self.profile = profile
        self.shape = at_hand(shape or Sphere(0.6 * radius), radius)

    def signed_distance(self, x: Float[Tensor, "n 3"], code: Float[Tensor, "n c"] | None = None) -> Float[Tensor, "n"]:
        return self.shape(x) + self.network(self.encode(x, code))[:, 0]

    def density(self, x: Float[Tensor, "n 3"], code: Float[Tensor, "n c"] | None = None) -> Float[Tensor, "n"]:
        return self.profile(self.signed_distance(x, code))

    def forward(
        self, x: Float[Tensor, "n 3"], with_normal: bool = False, code: Float[Tensor, "n c"] | None = None
    ) -> FieldSample:
        gradient = None
        if with_normal:
            code, gradient = self.normals(self, x, code)
        else:
            code = self.encode(x, code)
        raw = self.network(code)
        features = raw[:, 1:] if self.feature_network is None else self.feature_network(code)
        density = self.profile(self.shape(x) + raw[:, 0])
        return FieldSample(density, features, None if gradient is None else direction(gradient), gradient)

    def isosurface(self, resolution: int, threshold: float | None = None) -> Triangles:
        """Where the distance is 0, whatever the threshold."""
        device = next(self.parameters()).device
        return zero_surface(self.signed_distance, self.radius, resolution, device)

    def level(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        return self.signed_distance(x)

    def encode_with_slope(self, x: Float[Tensor, "n 3"]) -> tuple[Float[Tensor, "n c"], Float[Tensor, "n 3"]]:
        code, gradient = encode_with_slope(self.encoding, self.network, x, self.radius)
        return code, gradient + slope(self.shape, x)
