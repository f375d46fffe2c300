"""A shape as its values on a grid: asking a mesh for its distance at every sample of every step would take seconds."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from data.errors import UserError
from models.normals import WithSlope, slope
from models.shapes import Shape

RESOLUTION = 64


class AskedOnce(nn.Module):
    """Has in its state what a shape has said: where a state is loaded, the shape's file may be gone. Where none is, the
    shape's error is raised by `said`."""

    def __init__(self) -> None:
        super().__init__()
        self._missing: UserError | None = None

    def ask(self, shape: Shape, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        try:
            return shape(x)
        except UserError as error:
            self._missing = error
            return x.new_zeros(len(x))

    def said(self) -> None:
        """To be called before what the shape has said is used."""
        if self._missing is not None:
            raise self._missing

    def _load_from_state_dict(self, *args: object) -> None:
        super()._load_from_state_dict(*args)
        self._missing = None


class SampledShape(AskedOnce):
    """Trilinear between points of a grid over |x|_inf <= radius; beyond, the value of the nearest point in it."""

    values: Float[Tensor, "z y x"]

    def __init__(self, shape: Shape, radius: float, resolution: int = RESOLUTION) -> None:
        super().__init__()
        self.radius, self.cell = radius, 2 * radius / (resolution - 1)
        axis = torch.linspace(-radius, radius, resolution)
        points = torch.cartesian_prod(axis, axis, axis).flip(1)  # x fastest, as grid_sample reads a volume
        self.register_buffer("values", self.ask(shape, points).view(3 * (resolution,)))

    def forward(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        self.said()
        places = (x / self.radius).view(1, -1, 1, 1, 3)
        values = self.values[None, None].to(x.dtype)
        return nn.functional.grid_sample(values, places, padding_mode="border", align_corners=True).view(-1)

    def slope(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        """Over a cell, so that it does not jump from one to the next."""
        return slope(self.forward, x, step=self.cell)


def at_hand(shape: Shape, radius: float) -> Shape:
    """The shape itself if it knows its slope in closed form, else sampled."""
    return shape if isinstance(shape, WithSlope) else SampledShape(shape, radius)
