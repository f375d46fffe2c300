"""An asset as any viewer would show it, for comparison with the render of the scene that it was made from."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d

from data.cameras import Cameras
from models.asset import Asset, look_up
from models.materials import Albedo, Material
from models.scene import Scene
from renderers.output import RenderOutput
from renderers.rasterizing import RasterKernels, barycentric, interpolate

SUPERSAMPLING = 2


class Unlit(Albedo):
    """The base colour of another material: what can be compared, whatever the light in a viewer."""

    def __init__(self, material: Material) -> None:
        super().__init__()
        self.material = material

    def albedo(self, features: Float[Tensor, "n f"]) -> Float[Tensor, "n 3"]:
        return self.material.albedo(features)


@torch.no_grad()
def view(asset: Asset, scene: Scene, cameras: Cameras, kernels: RasterKernels) -> RenderOutput:
    """Unlit, before the scene's background; bilinear texture, two samples per pixel and direction, smooth outlines."""
    fine = replace(cameras, height=SUPERSAMPLING * cameras.height, width=SUPERSAMPLING * cameras.width)
    surface, _ = asset.welded
    projected = fine.project(surface.vertices)
    face = kernels.visible(projected, surface.faces, fine.height, fine.width)
    weight = barycentric(projected, surface.faces, face)
    corners = torch.cat([asset.uv, asset.vertices], dim=-1)
    uv, points = interpolate(corners, asset.faces, face, weight).split([2, 3], dim=-1)
    color = look_up(asset.base_color, uv.flatten(0, 2)).view(*uv.shape[:3], 3)
    distance = (points - cameras.position[:, None, None]).norm(dim=-1, keepdim=True)
    seen = (face >= 0)[..., None]
    empty = torch.nn.functional.pad(scene.background(fine.rays().directions, None), (0, 2))
    image = torch.where(seen, torch.cat([color, seen.to(color), distance], dim=-1), empty)
    image = kernels.antialias(image, face, projected, surface.faces)
    image = avg_pool2d(image.movedim(-1, 1), SUPERSAMPLING).movedim(1, -1)
    return RenderOutput(image[..., :3], image[..., 3:4], image[..., 4:], None)
