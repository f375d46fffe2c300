"""The surface of a field, by marching cubes."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from models.triangles import EmptySurfaceError, Triangles

PART = 2**16  # points asked at a time
SATURATED = 8.0  # optical depth of a cell, whose opacity single precision just tells from that of a denser one


@torch.no_grad()
def isosurface(
    density: Callable[[Float[Tensor, "n 3"]], Float[Tensor, "n"]],
    radius: float,
    resolution: int,
    threshold: float | None,
    device: torch.device,
) -> Triangles:
    """Marching cubes where density = threshold (None: `silhouette_threshold`), on resolution^3 points.

    Between the points the opacity of a cell is interpolated: unlike density, it does not grow without bound inside.
    """
    values = _sample(density, radius, resolution, device)
    spacing = 2 * radius / (resolution - 1)
    level = silhouette_threshold(values, spacing) if threshold is None else threshold
    if not (values > level).any():
        greatest = f"no density exceeds the threshold {level:.3g}; the greatest is {values.max():.3g}"
        raise EmptySurfaceError(f"{greatest}: say export.threshold=null, which finds one, or a lower one")
    length = min(spacing, SATURATED / level)  # beyond, the opacities of all that is denser would be equal
    alpha, alpha_level = -torch.expm1(-values * length).cpu().numpy(), -math.expm1(-level * length)
    return _march(alpha, min(alpha_level, float(np.nextafter(alpha.max(), np.float32(0)))), radius, device)


@torch.no_grad()
def zero_surface(
    distance: Callable[[Float[Tensor, "n 3"]], Float[Tensor, "n"]], radius: float, resolution: int, device: torch.device
) -> Triangles:
    """Marching cubes where a signed distance, negative inside, is 0."""
    depth = _sample(lambda x: -distance(x), radius, resolution, device, beyond=-radius)
    if not (depth > 0).any():
        raise EmptySurfaceError("the signed distance is positive everywhere: train longer, or lower the losses")
    return _march(depth.cpu().numpy(), 0.0, radius, device)


def _march(values: np.ndarray, level: float, radius: float, device: torch.device) -> Triangles:
    """Where values "x y z" = level; what is greater is inside."""
    from skimage.measure import marching_cubes

    spacing = 2 * radius / (len(values) - 1)
    vertices, faces, _, _ = marching_cubes(values, level, spacing=(spacing,) * 3, gradient_direction="ascent")
    points = torch.from_numpy(vertices.astype(np.float32)) - radius
    return Triangles(points.to(device), torch.from_numpy(faces.astype(np.int64)).to(device))


def _sample(
    values: Callable[[Float[Tensor, "n 3"]], Float[Tensor, "n"]],
    radius: float,
    resolution: int,
    device: torch.device,
    beyond: float = 0.0,
) -> Float[Tensor, "x y z"]:
    """`beyond` on the sphere that bounds the scene and outside, where rays do not look: every surface closes."""
    axis = torch.linspace(-radius, radius, resolution, device=device)
    points = torch.cartesian_prod(axis, axis, axis)
    sampled = torch.cat([values(part) for part in points.split(PART)])
    sampled = torch.where(points.norm(dim=-1) < radius * (1 - 1e-4), sampled, beyond)
    return sampled.view(resolution, resolution, resolution)


def silhouette_threshold(density: Float[Tensor, "x y z"], spacing: float) -> float:
    """The density whose isosurface has the outline that pictures of the field have, seen along the three axes.

    A pixel is inside the picture's outline if its opacity 1 - exp(-sum density dx) exceeds 1/2, and inside the
    isosurface's if the greatest density on its ray exceeds the threshold. Returned: the (geometric) middle of the
    thresholds whose IoU is best. Fog too thin to see does not count, unlike in a mean of the density.
    """
    opaque = torch.cat([(1 - torch.exp(-density.sum(dim=axis) * spacing) > 0.5).flatten() for axis in range(3)])
    if not opaque.any():
        raise EmptySurfaceError("the field is transparent everywhere: train longer, or lower the opacity losses")
    peak = torch.cat([density.amax(dim=axis).flatten() for axis in range(3)])
    lowest, highest = (peak[opaque].min() / 2).log(), peak.max().log()
    candidates = torch.linspace(0, 1, 129, device=density.device)[:-1] * (highest - lowest) + lowest
    outlines = peak > candidates.exp()[:, None]
    iou = (outlines & opaque).sum(dim=1) / (outlines | opaque).sum(dim=1)
    return candidates[iou >= iou.max() - 0.005].mean().exp().item()
