"""Regularisers of a surface that was rasterised; the system applies the weights. Zero where there is no surface."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, embedding, normalize

from data.errors import UserError
from models.dmtet import Tetrahedra
from models.scene import Scene
from models.triangles import Triangles
from renderers.output import RenderOutput


class NormalConsistency:
    """mean over edges of 1 - cos of the angle between the normals of both faces."""

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def __call__(self, scene: Scene, output: RenderOutput) -> Float[Tensor, ""]:
        surface = _surface(output, "normal_consistency", self.weight)
        if not len(surface.faces):
            return torch.zeros((), device=surface.vertices.device)
        _, sides = edges(surface.faces)
        one, other = embedding(sides, normalize(surface.face_normals(), dim=-1)).unbind(dim=1)
        return (1 - (one * other).sum(dim=-1)).mean()


class Laplacian:
    """mean over vertices of |v - the mean of its neighbours|^2."""

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def __call__(self, scene: Scene, output: RenderOutput) -> Float[Tensor, ""]:
        surface = _surface(output, "laplacian", self.weight)
        vertices = surface.vertices
        if not len(surface.faces):
            return torch.zeros((), device=vertices.device)
        ends, _ = edges(surface.faces)
        here, there = torch.cat([ends, ends.flip(1)]).unbind(dim=1)
        total = torch.zeros_like(vertices).index_add(0, here, embedding(there, vertices))
        n = torch.bincount(here, minlength=len(vertices)).clamp(min=1)
        return (vertices - total / n[:, None]).square().sum(dim=-1).mean()


class SignedDistance:
    """mean over edges of the tetrahedra that change sign of H(sigma(s_i), s_j > 0) + H(sigma(s_j), s_i > 0), s in cells
    and H the cross-entropy: fewer crossings, so no floaters and nothing inside (Munkberg et al. 2022, nvdiffrec).
    """

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def __call__(self, scene: Scene, output: RenderOutput) -> Float[Tensor, ""]:
        if not isinstance(scene.geometry, Tetrahedra):
            raise UserError(f"system.losses.signed_distance.weight={self.weight} needs tetrahedra: say renderer=dmtet")
        distances = scene.geometry.crossings()
        if not len(distances):
            return torch.zeros((), device=distances.device)
        return 2 * binary_cross_entropy_with_logits(distances, (distances.flip(1) > 0).to(distances))


def edges(faces: Int[Tensor, "f 3"]) -> tuple[Int[Tensor, "e 2"], Int[Tensor, "s 2"]]:
    """The ends of each edge, once; and the two faces at each edge that has two."""
    begin, end = faces.t().flatten(), faces.roll(-1, dims=1).t().flatten()
    low, high = torch.minimum(begin, end), torch.maximum(begin, end)
    code, order = (low * (int(faces.max()) + 1) + high).sort(stable=True)
    again = code[1:] == code[:-1]
    face = order % len(faces)
    first = torch.cat([again.new_ones(1), ~again])
    once = order[first]
    return torch.stack([low[once], high[once]], dim=1), torch.stack([face[:-1][again], face[1:][again]], dim=1)


def _surface(output: RenderOutput, name: str, weight: float) -> Triangles:
    if output.surface is None:
        raise UserError(f"system.losses.{name}.weight={weight} needs a surface: say renderer=dmtet, or set it to 0")
    return output.surface
