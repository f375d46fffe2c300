"""Volume rendering of a density field: march, find what is visible, evaluate the field there, composite."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from data.cameras import Cameras, Rays
from data.errors import UserError
from data.ranges import Fraction, PositiveInt
from data.share import WHOLE, Share
from models.backends import Backend
from models.geometry import DensityField
from models.materials import Light
from models.scene import Scene
from renderers.importance import resample
from renderers.kernels import choose_kernels
from renderers.marching import Segments
from renderers.occupancy import OccupancyGrid
from renderers.output import RaySamples, RenderOutput


@dataclass(frozen=True)
class _Rays:
    """A flat batch of rays and the image that each belongs to."""

    origins: Float[Tensor, "r 3"]
    directions: Float[Tensor, "r 3"]
    jitter: Float[Tensor, "r"]
    image: Int[Tensor, "r"]

    def split(self, size: int) -> list[_Rays]:
        parts = (self.origins.split(size), self.directions.split(size), self.jitter.split(size), self.image.split(size))
        return [_Rays(*part) for part in zip(*parts, strict=True)]


class Volume(nn.Module):
    """`n_samples` steps over the diameter of the bounding sphere; two passes over the field.

    The first pass, without gradients, finds the samples that matter: `alpha_threshold` drops transparent ones (at most
    the mean alpha of the occupancy grid, as nerfacc) and `stop_below` those behind an opaque surface. Only the second
    pass computes colours, normals and gradients. With gradients off, rays are rendered `chunk` at a time.
    importance: so many samples on each ray that meets anything, in place of those that the first pass kept, and denser
        where they weigh more; null: those themselves.
    """

    def __init__(
        self,
        occupancy: OccupancyGrid,
        n_samples: PositiveInt = 64,
        alpha_threshold: Fraction = 0.01,
        stop_below: Fraction = 1e-4,
        normals: bool = False,
        importance: PositiveInt | None = None,
        chunk: PositiveInt = 16384,
        backend: Backend = "auto",
    ) -> None:
        super().__init__()
        self.occupancy = occupancy
        self.radius = occupancy.radius
        self.step = 2 * occupancy.radius / n_samples
        self.alpha_threshold, self.stop_below = alpha_threshold, stop_below
        self.normals = normals  # for losses: otherwise only a lit material gets them
        self.importance = importance
        self.chunk = chunk
        self._kernels = choose_kernels(backend)

    def update(self, step: int, scene: Scene, rng: torch.Generator) -> None:
        field = _field(scene)

        def alpha(x: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
            return -torch.expm1(-field.density(x) * self.step)

        self.occupancy.update(step, alpha, rng)

    def forward(
        self, scene: Scene, cameras: Cameras, rng: torch.Generator | None = None, share: Share = WHOLE
    ) -> RenderOutput:
        pixels = cameras.rays()
        light = scene.material.light(cameras.position, rng)
        rays = self._flatten(pixels, rng, share)
        size = len(rays.origins) if torch.is_grad_enabled() else self.chunk
        parts = [self._render(scene, part, light, rng, share) for part in rays.split(size)]
        image = torch.cat([part for part, _ in parts]).unflatten(0, (-1, cameras.height, cameras.width))
        rgb, opacity, depth = image[..., :3], image[..., 3:4], image[..., 4:5]
        background = scene.background(pixels.directions, rng)[share.of(len(cameras))]
        return RenderOutput(
            rgb=rgb + (1 - opacity) * background,
            opacity=opacity,
            depth=depth,
            normal=image[..., 5:] if image.shape[-1] > 5 else None,
            samples=parts[0][1] if torch.is_grad_enabled() else None,
            share=share,
        )

    def _flatten(self, pixels: Rays, rng: torch.Generator | None, share: Share) -> _Rays:
        """Those of the share; `image` counts all."""
        b, h, w, _ = pixels.origins.shape
        jitter = torch.full((b * h * w,), 0.5)
        if rng is not None:
            jitter = torch.rand(b * h * w, generator=rng, device=rng.device)
        image = torch.arange(b, device=pixels.origins.device).repeat_interleave(h * w)
        origins, directions = pixels.origins.reshape(-1, 3), pixels.directions.reshape(-1, 3)
        own = share.of(b * h * w)
        return _Rays(origins[own], directions[own], jitter[own].to(origins.device), image[own])

    def _render(
        self, scene: Scene, rays: _Rays, light: Light, rng: torch.Generator | None, share: Share
    ) -> tuple[Float[Tensor, "r c"], RaySamples]:
        """Channels: red, green, blue, opacity, depth, and the normal if there is one."""
        kernels = self._kernels.of(rays.origins)
        segments, code = self._visible(scene, rays, rng, share)
        directions = rays.directions.index_select(0, segments.ray)
        points = _points(rays, segments)
        field = _field(scene)(points, with_normal=self.normals or light.needs_normals, code=code)
        color = scene.material(field.features, points, field.normal, light.on(rays.image.index_select(0, segments.ray)))
        t = segments.t_middle[:, None]
        values = [color, torch.ones_like(t), t] + ([] if field.normal is None else [field.normal])
        weight = kernels.weights(field.density, segments)
        image = kernels.accumulate(weight, torch.cat(values, dim=-1), segments)
        where = segments.ray, segments.t_start, segments.t_end
        samples = RaySamples(*where, weight, directions, field.normal, segments.n_rays, field.gradient)
        return image, samples

    @torch.no_grad()
    def _visible(
        self, scene: Scene, rays: _Rays, rng: torch.Generator | None, share: Share
    ) -> tuple[Segments, Float[Tensor, "s c"] | None]:
        """Also what the geometry has looked up about them, unless they are new ones."""
        kernels = self._kernels.of(rays.origins)
        segments = kernels.march(
            rays.origins, rays.directions, rays.jitter, self.occupancy.occupied, self.radius, self.step
        )
        points, field = _points(rays, segments), _field(scene)
        code = field.encode(points)
        density = field.density(points, code)
        threshold = min(self.alpha_threshold, self.occupancy.alpha.mean().item())
        keep = kernels.visible(density, segments, threshold, self.stop_below)
        if self.importance is not None:
            kept = segments[keep]
            return resample(kernels.weights(density[keep], kept), kept, self.importance, rng, share), None
        # Codes come point by point or feature by feature in memory: rows of the transpose stay together
        return segments[keep], code.t().index_select(1, keep.nonzero()[:, 0]).t()


def _field(scene: Scene) -> DensityField:
    if not isinstance(scene.geometry, DensityField):
        kind = type(scene.geometry).__name__
        raise UserError(f"geometry._target_: {kind} has no density to march through: say renderer=dmtet, or nerf")
    return scene.geometry


def _points(rays: _Rays, segments: Segments) -> Float[Tensor, "s 3"]:
    origins, directions = (part.index_select(0, segments.ray) for part in (rays.origins, rays.directions))
    return torch.addcmul(origins, segments.t_middle[:, None], directions)
