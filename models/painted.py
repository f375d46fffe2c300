"""Surfaces with the colours that a 3D file gives them: at corners, or as pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from models.asset import look_up
from models.color import srgb_from_linear
from models.triangles import Triangles

Fit = Literal["sphere", "box"]


@dataclass(frozen=True)
class Painted:
    """What corners have, is per corner of each face: neighbours need not agree. Colours are linear light in [0, 1]."""

    surface: Triangles
    normals: Float[Tensor, "f 3 3"]
    paint: Float[Tensor, "f 3 3"]
    uv: Float[Tensor, "f 3 2"]  # (0, 0): the upper left corner of the picture; beyond [0, 1] it repeats
    picture: Int[Tensor, "f"]  # index into pictures; -1: none
    pictures: tuple[Float[Tensor, "_h _w 3"], ...] = ()  # what the paint is multiplied by

    def placed(self, fit: Fit, extent: float) -> Painted:
        """The middle of the bounding box at 0; and the farthest point (sphere), or the ends of the box's longest side,
        `extent` away from it."""
        vertices = self.surface.vertices
        used = vertices[self.surface.faces.unique()]
        low, high = used.amin(dim=0), used.amax(dim=0)
        middle = (low + high) / 2
        reach = (used - middle).norm(dim=1).max() if fit == "sphere" else (high - low).max() / 2
        return replace(self, surface=Triangles((vertices - middle) * (extent / reach), self.surface.faces))

    def position(self, face: Int[Tensor, "p"], weight: Float[Tensor, "p 3"]) -> Float[Tensor, "p 3"]:
        return _mixed(self.surface.vertices[self.surface.faces[face]], weight)

    def normal(
        self, face: Int[Tensor, "p"], weight: Float[Tensor, "p 3"], to_camera: Float[Tensor, "p 3"]
    ) -> Float[Tensor, "p 3"]:
        """Of unit length, on the side of the face that the camera sees."""
        flat = self.surface.face_normals()[face]
        flat = torch.where((flat * to_camera).sum(dim=1, keepdim=True) < 0, -flat, flat)
        smooth = normalize(_mixed(self.normals[face], weight), dim=1)
        return torch.where((smooth * flat).sum(dim=1, keepdim=True) < 0, -smooth, smooth)

    def color(self, face: Int[Tensor, "p"], weight: Float[Tensor, "p 3"]) -> Float[Tensor, "p 3"]:
        """As displayed (sRGB)."""
        light = _mixed(self.paint[face], weight)
        uv, picture = _mixed(self.uv[face], weight), self.picture[face]
        uv = torch.where((uv < 0) | (uv > 1), uv - uv.floor(), uv)
        for index, texture in enumerate(self.pictures):
            here = (picture == index).nonzero()[:, 0]
            light = light.index_copy(0, here, light[here] * look_up(texture, uv[here]))
        return srgb_from_linear(light)


def _mixed(corners: Float[Tensor, "p 3 c"], weight: Float[Tensor, "p 3"]) -> Float[Tensor, "p c"]:
    first, second, third = corners.unbind(dim=1)
    return first * weight[:, :1] + second * weight[:, 1:2] + third * weight[:, 2:]
