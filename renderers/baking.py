"""The colours of a field onto a texture of its surface."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from data.ranges import NonNegativeFloat, NonNegativeInt
from models.geometry import DensityField
from models.scene import Scene
from models.triangles import Triangles
from models.unwrapping import Unwrapped
from renderers.rasterizing import RasterKernels

PART = 2**16  # texels asked at a time


@dataclass
class Through:
    """What an eye sees that looks at the surface of a volume: its colour composited along the inward normal.

    depth: of the layer around the surface that is looked through, a third of it outside; of the scene's radius.
    samples: in it. 0: the colour at the surface itself, which a surface field has and no picture of a volume shows.
    """

    depth: NonNegativeFloat = 0.15
    samples: NonNegativeInt = 8

    def __call__(
        self, scene: Scene, points: Float[Tensor, "n 3"], normals: Float[Tensor, "n 3"]
    ) -> Float[Tensor, "n c"]:
        if self.samples == 0 or not isinstance(scene.geometry, DensityField):
            return _channels(scene, scene.geometry.features(points))
        step = self.depth * scene.geometry.radius / self.samples
        offset = step * (self.samples / 3 - 0.5 - torch.arange(self.samples, device=points.device))
        places = (points[:, None] + offset[:, None] * normals[:, None]).flatten(0, 1)
        field = scene.geometry(places)
        alpha = -torch.expm1(-field.density.view(-1, self.samples) * step)
        before = torch.cumprod(1 - alpha, dim=1).roll(1, dims=1)
        before[:, 0] = 1.0
        weight = before * alpha + 1e-6  # where there is next to nothing, the mean
        seen = _channels(scene, field.features).view(len(points), self.samples, -1) * weight[..., None]
        return seen.sum(dim=1) / weight.sum(dim=1, keepdim=True)


def _channels(scene: Scene, features: Float[Tensor, "n f"]) -> Float[Tensor, "n c"]:
    """Red, green, blue and, of a lit material, roughness and metallic."""
    color, rest = scene.material.albedo(features), scene.material.roughness_metallic(features)
    return color if rest is None else torch.cat([color, rest], dim=-1)


@torch.no_grad()
def bake(
    scene: Scene, surface: Triangles, unwrapped: Unwrapped, look: Through, kernels: RasterKernels
) -> Float[Tensor, "h w c"]:
    """Channels as in `_channels`. Texels of a face show the point in the face, those close by the point where they
    would be in its plane, so that both sides of a seam agree under any filter; all others repeat the nearest, so that
    minified textures do not bleed."""
    face = _drawn(unwrapped, kernels) if unwrapped.owner is None else unwrapped.owner
    texels = _texels(face, padding=max(2, unwrapped.size // 256))
    points, normals = _places(surface, unwrapped, face, texels)
    colors = torch.cat([look(scene, *part) for part in zip(points.split(PART), normals.split(PART), strict=True)])
    texture = colors.new_zeros(*face.shape, colors.shape[-1])
    texture[texels.own.unbind(dim=-1)] = colors
    return texture[texels.source.unbind(dim=-1)]


def _drawn(unwrapped: Unwrapped, kernels: RasterKernels) -> Int[Tensor, "h w"]:
    """The face at each texel's centre; where there is none, one with a corner in the texel: a chart so small that it
    meets no centre still has a texel."""
    size = unwrapped.size
    projected = torch.nn.functional.pad(unwrapped.uv * size, (0, 1), value=1.0)[None]
    face = kernels.visible(projected, unwrapped.faces, size, size).flatten()
    column, row = (unwrapped.uv[unwrapped.faces] * size).long().clamp(0, size - 1).flatten(0, 1).unbind(dim=-1)
    texel = row * size + column
    index = torch.arange(len(unwrapped.faces), device=face.device).repeat_interleave(3)
    free = face[texel] < 0
    return face.scatter_reduce(0, texel[free], index[free], "amax").view(size, size)


@dataclass(frozen=True)
class _Texels:
    """(row, column) of texels."""

    own: Int[Tensor, "n 2"]  # those that get colours of their own
    covered: Int[Tensor, "n 2"]  # the nearest of each that a face covers
    source: Int[Tensor, "h w 2"]  # of all: the one whose colour they have


def _texels(face: Int[Tensor, "h w"], padding: int) -> _Texels:
    from scipy.ndimage import distance_transform_edt

    distance, nearest = distance_transform_edt((face < 0).cpu().numpy(), return_indices=True)
    covered = torch.from_numpy(np.stack(nearest, axis=-1).astype(np.int64)).to(face.device)
    near = torch.from_numpy(distance <= padding).to(face.device)
    own = near.nonzero()
    source = covered.clone()
    source[near] = own
    return _Texels(own, covered[near], source)


def _places(
    surface: Triangles, unwrapped: Unwrapped, face: Int[Tensor, "h w"], texels: _Texels
) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 3"]]:
    """Points and outward normals. A texel outside of the faces is no farther from its covered one in space than in the
    texture, twice: in the plane of a sliver it could be anywhere."""
    of = face[texels.covered.unbind(dim=-1)]
    corners = unwrapped.vertex[unwrapped.faces[of]]
    triangle = (unwrapped.uv.double() * unwrapped.size)[unwrapped.faces[of]]
    at = lambda weight, values: torch.einsum("nk,nkc->nc", weight, values[corners])
    within = _weights(triangle, texels.covered).clamp(0, 1)
    within = within / within.sum(dim=-1, keepdim=True)
    inside, wanted = at(within, surface.vertices), at(_weights(triangle, texels.own), surface.vertices)
    texel_size = (surface.face_normals().norm(dim=-1).sum() / 2 / (face >= 0).sum()).sqrt()
    limit = 2 * texel_size * (texels.own - texels.covered).to(inside).norm(dim=-1, keepdim=True)
    shift = wanted - inside
    points = inside + shift * (limit / shift.norm(dim=-1, keepdim=True).clamp(min=1e-12)).clamp(max=1)
    return points, torch.nn.functional.normalize(at(within, surface.vertex_normals()), dim=-1)


def _weights(triangle: Float[Tensor, "n 3 2"], texel: Int[Tensor, "n 2"]) -> Float[Tensor, "n 3"]:
    """Barycentric weights of texel centres, also of those outside of their triangle, where some are negative."""
    a, b, c = (triangle - texel.flip(-1)[:, None] - 0.5).unbind(dim=1)
    cross = lambda p, q: p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]
    areas = torch.stack([cross(b, c), cross(c, a), cross(a, b)], dim=-1)
    return (areas / areas.sum(dim=-1, keepdim=True)).nan_to_num(1 / 3, 1 / 3, 1 / 3).float()
