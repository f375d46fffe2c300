"""Surfaces as triangles."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import embedding, normalize

from data.errors import FailedError


class EmptySurfaceError(FailedError):
    """There is nothing opaque: no surface to take."""


@dataclass(frozen=True)
class Triangles:
    """World axes (z up, +x front), counter-clockwise faces seen from outside. Vertices may carry gradients."""

    vertices: Float[Tensor, "v 3"]
    faces: Int[Tensor, "f 3"]
    given: bool = False  # by the user, to stay as they are; else found in a field

    @property
    def volume(self) -> float:
        """Signed: positive where faces look outward."""
        a, b, c = self.vertices.detach()[self.faces].double().unbind(dim=1)
        return (a * torch.linalg.cross(b, c)).sum().item() / 6

    @property
    def closed(self) -> bool:
        """Each edge has as many faces in one direction as in the other."""
        begin, end = self.faces.flatten(), self.faces.roll(-1, dims=1).flatten()
        edge = torch.minimum(begin, end) * len(self.vertices) + torch.maximum(begin, end)
        edges, index = torch.unique(edge, return_inverse=True)
        return not torch.zeros_like(edges).index_add(0, index, (end - begin).sign()).any()

    def face_normals(self) -> Float[Tensor, "f 3"]:
        """Outward, twice the face's area long."""
        a, b, c = embedding(self.faces, self.vertices).unbind(dim=1)  # its gradient does not depend on the threads
        return torch.linalg.cross(b - a, c - a)

    def vertex_normals(self) -> Float[Tensor, "v 3"]:
        """The faces' around a vertex, weighted by their areas. Unit length; less where there is next to no area, so
        that gradients stay finite, and 0 at a vertex of no face."""
        corners = self.face_normals().repeat_interleave(3, dim=0)
        return normalize(torch.zeros_like(self.vertices).index_add(0, self.faces.flatten(), corners), dim=-1)
