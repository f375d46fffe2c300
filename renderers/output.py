"""What every renderer returns, and the protocol that makes renderers interchangeable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from data.cameras import Cameras
from data.share import WHOLE, Share
from models.scene import Scene
from models.triangles import Triangles


@dataclass(frozen=True)
class RaySamples:
    """The s samples that survived occupancy skipping, packed: sorted by ray, then by depth."""

    ray: Int[Tensor, "s"]
    t_start: Float[Tensor, "s"]
    t_end: Float[Tensor, "s"]
    weight: Float[Tensor, "s"]
    direction: Float[Tensor, "s 3"]
    normal: Float[Tensor, "s 3"] | None
    n_rays: int
    gradient: Float[Tensor, "s 3"] | None = None  # of the signed distance, if the geometry has one


@dataclass(frozen=True)
class RenderOutput:
    rgb: Float[Tensor, "b h w 3"]  # in [0, 1], composited over the background
    opacity: Float[Tensor, "b h w 1"]
    depth: Float[Tensor, "b h w 1"]  # sum of weight * t, not normalised
    normal: Float[Tensor, "b h w 3"] | None
    samples: RaySamples | None = None  # of a volume, where gradients are on
    surface: Triangles | None = None  # of what was rasterised
    share: Share = WHOLE  # of the cameras asked for: these b images


def rgba(
    rgb: Float[Tensor, "b h w 3"], opacity: Float[Tensor, "b h w 1"], background: Float[Tensor, "b h w 3"]
) -> Float[Tensor, "b h w 4"]:
    """The picture without its background, as files with transparency have it: colour not multiplied by the opacity.

    The colour c in rgb = opacity c + (1 - opacity) background, kept in [0, 1]; black where nothing is. Where opacity is
    low, rounding of `rgb` grows, and is seen as little as the colour is.
    """
    color = (rgb - (1 - opacity) * background) / opacity.clamp(min=1 / 512)
    return torch.cat([torch.where(opacity > 0, color, 0.0).clamp(0, 1), opacity], dim=-1)


@runtime_checkable
class Renderer(Protocol):
    def __call__(
        self, scene: Scene, cameras: Cameras, rng: torch.Generator | None = None, share: Share = WHOLE
    ) -> RenderOutput:
        """With `rng` samples, lights and backgrounds are drawn (training), without it nothing is.

        share: which of the images to make. What is drawn is drawn for all, so that nobody's depend on the others.
        """
        ...

    def update(self, step: int, scene: Scene, rng: torch.Generator) -> None:
        """Called before the render of every training step: brings what the renderer knows of the scene up to date."""
        ...
