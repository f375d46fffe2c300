"""3D files to pictures without a background: read, put into place, lit at random, and seen from some cameras."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn.functional import avg_pool2d, normalize

from data.cameras import Cameras
from data.errors import UserError
from data.ranges import Fraction, PositiveFloat, PositiveInt
from data.samplers import CameraSampler
from models.painted import Painted
from models.painted_file import UnreadableError, read_painted
from renderers.rasterizing import RasterKernels, barycentric, choose_raster_kernels


@dataclass(frozen=True)
class Lamps:
    """shade = 1 - sky - key - head + sky n_z + key max(0, n . direction) + head max(0, n . camera): what faces all of
    them has its own colour. data/toybox/raycast.py lights toys so, with sky 0.22, key 0.18 from (0.8, 0, 0.6), head 0.
    """

    sky: float
    key: float
    head: float
    direction: Float[Tensor, "3"]  # unit length, fixed to the world

    def shade(self, normal: Float[Tensor, "p 3"], to_camera: Float[Tensor, "p 3"]) -> Float[Tensor, "p 1"]:
        lit = self.key * (normal @ self.direction).clamp(min=0)
        seen = self.head * (normal * to_camera).sum(dim=1).clamp(min=0)
        return (1 - self.sky - self.key - self.head + self.sky * normal[:, 2] + lit + seen)[:, None]


@dataclass
class Lighting:
    """Ranges that the lamps of an object are drawn from; azimuth (0: from the front) and elevation of the key light in
    degrees."""

    sky: tuple[Fraction, Fraction] = (0.12, 0.3)
    key: tuple[Fraction, Fraction] = (0.1, 0.26)
    head: tuple[Fraction, Fraction] = (0.0, 0.1)
    azimuth: tuple[float, float] = (-90.0, 90.0)
    elevation: tuple[float, float] = (15.0, 65.0)

    def draw(self, rng: torch.Generator) -> Lamps:
        ranges = (self.sky, self.key, self.head, self.azimuth, self.elevation)
        draws = torch.rand(len(ranges), generator=rng).tolist()
        values = [low + (high - low) * draw for (low, high), draw in zip(ranges, draws, strict=True)]
        sky, key, head = values[:3]
        azimuth, elevation = map(math.radians, values[3:])
        level = math.cos(elevation)
        direction = (level * math.cos(azimuth), level * math.sin(azimuth), math.sin(elevation))
        return Lamps(sky, key, head, torch.tensor(direction))


class Studio:
    """`n_view` pictures of a file (null: as many as the sampler draws together), by cameras and lamps drawn for it; a
    pixel is the mean of `supersampling`^2 samples.

    fit: the middle of the bounding box is at 0, and `extent` away from it the farthest point (sphere), or the ends of
    the longest side (box). z_up, colors: see models/painted_file.py.
    """

    def __init__(
        self,
        sampler: CameraSampler,
        lighting: Lighting,
        n_view: PositiveInt | None = None,
        supersampling: PositiveInt = 4,
        fit: Literal["sphere", "box"] = "sphere",
        extent: PositiveFloat = 0.5,
        z_up: bool = False,
        colors: Literal["auto", "linear", "srgb"] = "auto",
    ) -> None:
        if n_view is not None and n_view % sampler.n_view:
            raise UserError(f"job.studio.n_view={n_view}: the sampler draws {sampler.n_view} together; say a multiple")
        self.sampler, self.lighting = sampler, lighting
        self.n_view, self.supersampling = n_view or sampler.n_view, supersampling
        self.fit: Literal["sphere", "box"] = fit
        self.extent, self.z_up = extent, z_up
        self.colors: Literal["auto", "linear", "srgb"] = colors

    @torch.no_grad()
    def __call__(self, path: str, rng: torch.Generator) -> tuple[UInt8[Tensor, "v h w 4"], Cameras]:
        """UnreadableError says why there are none."""
        cameras, lamps = self.sampler.draw(self.n_view, rng), self.lighting.draw(rng)
        painted = read_painted(path, self.z_up, self.colors, 2 * self.supersampling * cameras.height)
        painted = painted.placed(self.fit, self.extent)
        if not painted.surface.vertices.isfinite().all():
            raise UnreadableError("all its points are in one place")
        kernels = choose_raster_kernels("auto").cpu
        views = [cameras[view : view + 1] for view in range(self.n_view)]  # one by one to bound the memory
        images = torch.stack([cut_out(painted, view, lamps, kernels, self.supersampling) for view in views])
        return (images * 255).round().byte(), cameras


def cut_out(
    painted: Painted, camera: Cameras, lamps: Lamps, kernels: RasterKernels, supersampling: int
) -> Float[Tensor, "h w 4"]:
    """Both sides are lit as seen. Colour, not multiplied by the opacity, and opacity."""
    fine = replace(camera, height=supersampling * camera.height, width=supersampling * camera.width)
    projected = fine.project(painted.surface.vertices)
    found = kernels.visible(projected, painted.surface.faces, fine.height, fine.width)
    pixel = (found.flatten() >= 0).nonzero()[:, 0]
    face = found.flatten()[pixel]
    weight = barycentric(projected, painted.surface.faces, found).flatten(0, 2)[pixel]
    to_camera = normalize(fine.position - painted.position(face, weight), dim=1)
    color = painted.color(face, weight) * lamps.shade(painted.normal(face, weight, to_camera), to_camera)
    image = color.new_zeros(found.numel(), 4).index_copy(0, pixel, torch.cat([color, torch.ones_like(color[:, :1])], 1))
    image = image.view(fine.height, fine.width, 4).movedim(-1, 0)
    mean = avg_pool2d(image, supersampling).movedim(0, -1)
    return torch.cat([mean[..., :3] / mean[..., 3:].clamp(min=1e-6), mean[..., 3:]], dim=-1).clamp(0, 1)
