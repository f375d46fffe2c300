"""Where matter is, and the features that become its colour: fields of density, and surfaces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from data.ranges import NonNegativeInt, PositiveFloat, PositiveInt, ThreeOrMore
from models.encoding import Encoding, encode_with_slope, unit_cube
from models.isosurface import isosurface
from models.mlp import MLP
from models.normals import Analytic, Normals, direction, slope
from models.sampled_shape import at_hand
from models.shapes import Shape
from models.triangles import Triangles


@dataclass(frozen=True)
class FieldSample:
    density: Float[Tensor, "n"]  # per unit length, >= 0
    features: Float[Tensor, "n f"]  # what the material turns into colour
    normal: Float[Tensor, "n 3"] | None  # unit length, outward
    gradient: Float[Tensor, "n 3"] | None = None  # of the signed distance, if there is one and normals were asked for


@runtime_checkable
class Geometry(Protocol):
    """What every renderer, and the export, can do with an object. Nothing exists where |x| > radius."""

    radius: float

    def features(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n f"]:
        """What the material turns into colour."""
        ...

    def isosurface(self, resolution: int, threshold: float | None = None) -> Triangles:
        """The object's surface. resolution: points along an edge of the box around it, threshold: of its density (None:
        found), where there is a choice. EmptySurfaceError if there is none."""
        ...


@runtime_checkable
class DensityField(Geometry, Protocol):
    """A geometry that rays can be marched through."""

    def encode(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n c"]:
        """What the geometry wants to be told again when it is asked about the same points: saves looking it up."""
        ...

    def density(self, x: Float[Tensor, "n 3"], code: Float[Tensor, "n c"] | None = None) -> Float[Tensor, "n"]: ...

    def __call__(
        self, x: Float[Tensor, "n 3"], with_normal: bool = False, code: Float[Tensor, "n c"] | None = None
    ) -> FieldSample: ...


@runtime_checkable
class SurfaceField(Geometry, Protocol):
    """A geometry that can be rasterised."""

    def surface(self) -> Triangles:
        """The surface as it is now, differentiable in the parameters."""
        ...


@runtime_checkable
class DensityBias(Protocol):
    def __call__(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        """Added to the density before its activation, so that optimisation starts from a soft ball."""
        ...


class BlobMagic3D:
    """scale * (1 - |x| / std): a cone (Lin et al. 2022, Magic3D; the form MVDream uses)."""

    def __init__(self, scale: float = 10.0, std: PositiveFloat = 0.5) -> None:
        self.scale, self.std = scale, std

    def __call__(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        return self.scale * (1 - x.norm(dim=-1) / self.std)

    def slope(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        return -self.scale / self.std * direction(x)


class BlobDreamFusion:
    """scale * exp(-|x|^2 / (2 std^2)): a Gaussian (Poole et al. 2022, DreamFusion)."""

    def __init__(self, scale: float = 10.0, std: PositiveFloat = 0.5) -> None:
        self.scale, self.std = scale, std

    def __call__(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        return self.scale * torch.exp(-x.square().sum(dim=-1) / (2 * self.std**2))

    def slope(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        return -self(x)[:, None] * x / self.std**2


class FromShape(nn.Module):
    """-scale * distance / width: what lies deeper than `width` in the shape is denser than `scale`, outside is nothing.

    The distance is asked for up to `radius` from the middle along each axis.
    """

    def __init__(
        self, shape: Shape, scale: float = 10.0, width: PositiveFloat = 0.1, radius: PositiveFloat = 0.6
    ) -> None:
        super().__init__()
        self.shape, self.scale, self.width = at_hand(shape, radius), scale, width

    def forward(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        return -self.scale / self.width * self.shape(x)

    def slope(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        return -self.scale / self.width * slope(self.shape, x)


class EncodedField(nn.Module):
    """What fields of one number (a density, a distance) share: `network` gives it for an encoded point, and behind it
    the features, unless separate_features gives them a network of their own, `feature_network`."""

    def __init__(
        self,
        encoding: Encoding,
        radius: float,
        width: tuple[int, int],  # units of a hidden layer, and how many layers there are
        n_features: int,
        normals: Normals | None,
        separate_features: bool,
        seed: int,
    ) -> None:
        super().__init__()
        new = lambda n_output, seed: MLP(encoding.n_output, n_output, *width, seed, encoding.backend)
        self.encoding, self.radius, self.normals = encoding, radius, normals or Analytic()
        self.network = new(1 if separate_features else 1 + n_features, seed)
        self.feature_network = new(n_features, seed + 1) if separate_features else None

    def encode(self, x: Float[Tensor, "n 3"], code: Float[Tensor, "n c"] | None = None) -> Float[Tensor, "n c"]:
        return self.encoding(unit_cube(x, self.radius), code)

    def features(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n f"]:
        return self(x).features


class ImplicitVolume(EncodedField):
    """density = softplus(network(encoding(x))[0] + bias(x)); the network's other outputs are the features.

    Materials take the first three features for the colour. separate_features: they come from a network of their own,
    `feature_network`, as in threestudio; `network` then has the density alone. density_bias: Magic3D's
    if None; normals: analytic if None.
    """

    def __init__(
        self,
        encoding: Encoding,
        density_bias: DensityBias | None = None,
        radius: PositiveFloat = 0.6,
        hidden: PositiveInt = 32,
        n_hidden: NonNegativeInt = 1,
        n_features: ThreeOrMore = 3,
        normals: Normals | None = None,
        separate_features: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(encoding, radius, (hidden, n_hidden), n_features, normals, separate_features, seed)
        self.density_bias = density_bias or BlobMagic3D()

    def density(self, x: Float[Tensor, "n 3"], code: Float[Tensor, "n c"] | None = None) -> Float[Tensor, "n"]:
        return self._activate(self.network(self.encode(x, code))[:, 0], x)

    def forward(
        self, x: Float[Tensor, "n 3"], with_normal: bool = False, code: Float[Tensor, "n c"] | None = None
    ) -> FieldSample:
        normal = None
        if with_normal:
            code, gradient = self.normals(self, x, code)
            normal = -direction(gradient)
        else:
            code = self.encode(x, code)
        raw = self.network(code)
        features = raw[:, 1:] if self.feature_network is None else self.feature_network(code)
        return FieldSample(self._activate(raw[:, 0], x), features, normal)

    def isosurface(self, resolution: int, threshold: float | None = None) -> Triangles:
        device = next(self.parameters()).device
        return isosurface(self.density, self.radius, resolution, threshold, device)

    def level(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        return self.density(x)

    def encode_with_slope(self, x: Float[Tensor, "n 3"]) -> tuple[Float[Tensor, "n c"], Float[Tensor, "n 3"]]:
        """The slope before the activation, which is monotonous: where softplus is flat, this still has a direction."""
        code, gradient = encode_with_slope(self.encoding, self.network, x, self.radius)
        return code, gradient + slope(self.density_bias, x)

    def _activate(self, raw: Float[Tensor, "n"], x: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        return nn.functional.softplus(raw + self.density_bias(x))
