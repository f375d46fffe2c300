"""Rays to samples: constant steps through the sphere that bounds the scene, skipping empty cells."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Segments:
    """s pieces of n_rays rays, sorted by ray, then by depth."""

    ray: Int[Tensor, "s"]
    t_start: Float[Tensor, "s"]
    t_end: Float[Tensor, "s"]
    n_rays: int

    @property
    def t_middle(self) -> Float[Tensor, "s"]:
        return (self.t_start + self.t_end) / 2

    def __getitem__(self, keep: Bool[Tensor, "s"]) -> Segments:
        index = keep.nonzero()[:, 0]
        ray, t_start, t_end = (part.index_select(0, index) for part in (self.ray, self.t_start, self.t_end))
        return Segments(ray, t_start, t_end, self.n_rays)


def march(
    origins: Float[Tensor, "r 3"],
    directions: Float[Tensor, "r 3"],
    jitter: Float[Tensor, "r"],
    occupied: Bool[Tensor, "x y z"],
    radius: float,
    step: float,
) -> Segments:
    """The definition. Segment i of a ray is centred on t = near + (i + jitter) step, for t < far, in occupied cells.

    near and far: where the ray meets the sphere |x| = radius (near >= 0). jitter in [0, 1): 1/2 for a still picture,
    uniform per ray in training (stratified sampling). `occupied` covers the cube around the sphere.
    """
    near, far = intersect_sphere(origins, directions, radius)
    index = torch.arange(round(2 * radius / step), device=origins.device)
    t = near[:, None] + (index + jitter[:, None]) * step
    points = origins[:, None] + t[..., None] * directions[:, None]
    resolution = occupied.shape[0]
    cell = ((points * (1 / (2 * radius)) + 0.5) * resolution).long().clamp(0, resolution - 1)
    keep = (t < far[:, None]) & occupied[cell.unbind(dim=-1)]
    t, ray = t[keep], keep.nonzero()[:, 0]
    return Segments(ray, t - step / 2, t + step / 2, n_rays=len(origins))


def intersect_sphere(
    origins: Float[Tensor, "r 3"], directions: Float[Tensor, "r 3"], radius: float
) -> tuple[Float[Tensor, "r"], Float[Tensor, "r"]]:
    """Distances at which unit rays enter (>= 0) and leave the sphere; a ray that misses it has far <= near."""
    along = _dot(origins, directions)
    discriminant = along * along - (_dot(origins, origins) - radius**2)
    half = discriminant.clamp(min=0).double().sqrt().to(origins.dtype)  # torch's float32 sqrt is not correctly rounded
    return (-along - half).clamp(min=0), half - along


def _dot(a: Float[Tensor, "r 3"], b: Float[Tensor, "r 3"]) -> Float[Tensor, "r"]:
    """Summed in this order, so that the compiled twin gives the same bits."""
    return a[:, 0] * b[:, 0] + a[:, 1] * b[:, 1] + a[:, 2] * b[:, 2]
