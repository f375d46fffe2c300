"""Rasterising a surface, shaded once per pixel: project, find what is seen, evaluate it there, smooth the outlines."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, normalize

from data.cameras import Cameras
from data.errors import UserError
from data.ranges import PositiveInt
from data.share import WHOLE, Share
from models.backends import Backend
from models.geometry import SurfaceField
from models.scene import Scene
from models.triangles import Triangles
from renderers.output import RenderOutput
from renderers.rasterizing import barycentric, choose_raster_kernels, interpolate


@dataclass(frozen=True)
class _Seen:
    """The p pixels that see the surface, of all images in order."""

    pixel: Int[Tensor, "p"]
    image: Int[Tensor, "p"]
    points: Float[Tensor, "p 3"]
    normal: Float[Tensor, "p 3"] | None


class Raster(nn.Module):
    """One sample per pixel, `ssaa`^2 with supersampling; outlines are smooth, and differentiable, in any case.

    Features and colours are evaluated at the pixels that see the surface, and nowhere else (deferred shading).
    normals: in the output, under any light; a light that needs them gets them in any case.
    """

    def __init__(self, ssaa: PositiveInt = 1, normals: bool = False, backend: Backend = "auto") -> None:
        super().__init__()
        self.ssaa = ssaa
        self.normals = normals
        self._kernels = choose_raster_kernels(backend)

    def update(self, step: int, scene: Scene, rng: torch.Generator) -> None:
        """There is nothing to bring up to date: the surface is taken anew for each render."""

    def forward(
        self, scene: Scene, cameras: Cameras, rng: torch.Generator | None = None, share: Share = WHOLE
    ) -> RenderOutput:
        surface = _field(scene).surface()
        fine = replace(cameras, height=cameras.height * self.ssaa, width=cameras.width * self.ssaa)
        image = _reduce(self._render(scene, surface, fine, rng, share), self.ssaa)
        return RenderOutput(
            rgb=image[..., :3],
            opacity=image[..., 3:4],
            depth=image[..., 4:5],
            normal=image[..., 5:] if image.shape[-1] > 5 else None,
            surface=surface,
            share=share,
        )

    def _render(
        self, scene: Scene, surface: Triangles, asked: Cameras, rng: torch.Generator | None, share: Share
    ) -> Float[Tensor, "b h w c"]:
        """Channels: red, green, blue over the background, opacity, depth, and the normal if there is one."""
        kernels = self._kernels.of(surface.vertices)
        light = scene.material.light(asked.position, rng)
        own = share.of(len(asked))
        cameras = asked[own]
        projected = cameras.project(surface.vertices)
        face = kernels.visible(projected.detach(), surface.faces, cameras.height, cameras.width)
        seen = _seen(surface, projected, face, with_normal=self.normals or light.needs_normals)
        features = scene.geometry.features(seen.points)
        color = scene.material(features, seen.points, seen.normal, light.on(seen.image + own.start))
        distance = (seen.points - cameras.position.index_select(0, seen.image)).norm(dim=-1, keepdim=True)
        values = [color, torch.ones_like(distance), distance] + ([] if seen.normal is None else [seen.normal])
        empty = color.new_zeros(face.numel(), 5 if seen.normal is None else 8)
        empty[:, :3] = scene.background(asked.rays().directions, rng)[own].flatten(0, 2)
        image = empty.index_copy(0, seen.pixel, torch.cat(values, dim=-1)).view(*face.shape, -1)
        return kernels.antialias(image, face, projected, surface.faces)


def _seen(
    surface: Triangles, projected: Float[Tensor, "b v 3"], face: Int[Tensor, "b h w"], with_normal: bool
) -> _Seen:
    pixel = (face.flatten() >= 0).nonzero()[:, 0]
    values = [surface.vertices] + ([surface.vertex_normals()] if with_normal else [])
    weight = barycentric(projected, surface.faces, face)
    found = interpolate(torch.cat(values, dim=-1), surface.faces, face, weight).flatten(0, 2).index_select(0, pixel)
    normal = normalize(found[:, 3:], dim=-1) if with_normal else None
    return _Seen(pixel, pixel // face[0].numel(), found[:, :3], normal)


def _reduce(image: Float[Tensor, "b h w c"], ssaa: int) -> Float[Tensor, "b h2 w2 c"]:
    """Means of blocks of ssaa^2 pixels."""
    return image if ssaa == 1 else avg_pool2d(image.permute(0, 3, 1, 2), ssaa).permute(0, 2, 3, 1)


def _field(scene: Scene) -> SurfaceField:
    if not isinstance(scene.geometry, SurfaceField):
        kind = type(scene.geometry).__name__
        raise UserError(f"geometry._target_: {kind} has no surface to rasterise: say renderer=hashgrid, or dmtet")
    return scene.geometry
