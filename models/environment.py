"""Light from all around: what a matt, a rough and a polished surface receive of it. Linear light, world axes, z up."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import grid_sample, normalize

from data.ranges import NonNegativeFloat, PositiveFloat, TwoOrMore
from models.backgrounds import spherical_harmonics
from models.microfacets import distribution

N_LEVELS = 6  # of roughness, from 0 to 1
BANDS = [math.pi] + 3 * [2 * math.pi / 3] + 5 * [math.pi / 4]  # Lambert's cosine in spherical harmonics


class Environment(nn.Module):
    """Radiance on a grid of polar angle (from +z) and azimuth (from +x to +y), the cells' centres."""

    harmonics: Float[Tensor, "9 3"]
    levels: Float[Tensor, "3 l h w2"]

    def __init__(self, radiance: Float[Tensor, "h w 3"]) -> None:
        super().__init__()
        direction, area = cells(*radiance.shape[:2])
        light = radiance.flatten(0, 1)
        projected = spherical_harmonics(direction).T @ (light * area[:, None])
        self.register_buffer("harmonics", torch.tensor(BANDS)[:, None] * projected, persistent=False)
        blurred = [light] + [_blur(light, direction, area, k / (N_LEVELS - 1)) for k in range(1, N_LEVELS)]
        levels = torch.stack(blurred).view(N_LEVELS, *radiance.shape).permute(3, 0, 1, 2)
        around = torch.cat([levels[..., -1:], levels, levels[..., :1]], dim=-1)
        self.register_buffer("levels", around, persistent=False)

    def irradiance(self, normal: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        """Integral of L(l) max(n . l, 0), to 9 spherical harmonics (Ramamoorthi and Hanrahan 2001)."""
        return (spherical_harmonics(normal) @ self.harmonics).clamp(min=0)

    def reflection(self, direction: Float[Tensor, "n 3"], roughness: Float[Tensor, "n"]) -> Float[Tensor, "n 3"]:
        """Mean of L around a mirror direction as a rough surface spreads it, seen from that direction (Karis 2013)."""
        x, y, z = direction.unbind(dim=-1)
        flat = x * x + y * y
        polar = torch.atan2(flat.clamp(min=1e-12).sqrt(), z)
        azimuth = torch.atan2(y, torch.where(flat < 1e-12, 1e-6, x)) % (2 * math.pi)
        height, width = self.levels.shape[2], self.levels.shape[3] - 2
        column = azimuth / (2 * math.pi) * width + 0.5  # of the levels, whose first column repeats the last
        row = polar / math.pi * height - 0.5
        place = torch.stack([2 * column / (width + 1) - 1, 2 * row / (height - 1) - 1, 2 * roughness - 1], dim=-1)
        found = grid_sample(self.levels[None], place[None, None, None], align_corners=True, padding_mode="border")
        return found[0, :, 0, 0].T


def studio(
    sky: PositiveFloat = 0.45,
    ground: NonNegativeFloat = 0.2,
    lamps: NonNegativeFloat = 1.0,
    height: TwoOrMore = 32,
) -> Environment:
    """A pale sky over a darker floor, and three soft lamps: before the object to its left, to its right, and behind it.

    sky, ground: their radiance, lamps: a factor on that of the lamps; height: cells from pole to pole.
    """
    direction, _ = cells(height, 2 * height)
    up = torch.sigmoid(8 * direction[:, 2:])
    light = torch.lerp(torch.tensor([1.0, 0.96, 0.9]) * ground, torch.tensor([0.94, 0.98, 1.06]) * sky, up)
    for azimuth, elevation, size, radiance, color in (
        (50.0, 40.0, 0.25, 5.0, (1.0, 0.95, 0.88)),
        (-60.0, 15.0, 0.30, 1.5, (0.9, 0.96, 1.0)),
        (170.0, 50.0, 0.25, 3.0, (1.0, 1.0, 1.0)),
    ):
        a, e = math.radians(azimuth), math.radians(elevation)
        toward = torch.tensor([math.cos(e) * math.cos(a), math.cos(e) * math.sin(a), math.sin(e)])
        spot = torch.exp((direction @ toward - 1) / size**2)[:, None]
        light = light + lamps * radiance * spot * torch.tensor(color)
    return Environment(light.view(height, 2 * height, 3))


def turned(direction: Float[Tensor, "n 3"], angle: Float[Tensor, "n"]) -> Float[Tensor, "n 3"]:
    """Rotated about the vertical, counter-clockwise seen from above."""
    (x, y, z), cos, sin = direction.unbind(dim=-1), angle.cos(), angle.sin()
    return torch.stack([cos * x - sin * y, sin * x + cos * y, z], dim=-1)


def cells(height: int, width: int) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n"]]:
    """Directions of the centres, and solid angles, which sum to 4 pi."""
    polar = (torch.arange(height) + 0.5) * math.pi / height
    azimuth = (torch.arange(width) + 0.5) * 2 * math.pi / width
    polar, azimuth = torch.meshgrid(polar, azimuth, indexing="ij")
    direction = torch.stack([polar.sin() * azimuth.cos(), polar.sin() * azimuth.sin(), polar.cos()], dim=-1)
    area = 4 * math.pi / width * math.sin(math.pi / height / 2) * polar.sin()
    return normalize(direction.flatten(0, 1), dim=-1), area.flatten()


def _blur(
    light: Float[Tensor, "n 3"], direction: Float[Tensor, "n 3"], area: Float[Tensor, "n"], roughness: float
) -> Float[Tensor, "n 3"]:
    """Weights D(h) (n . l), where the viewer, the normal and the mirror direction are one."""
    cosine = direction @ direction.T
    half = ((1 + cosine) / 2).clamp(min=0).sqrt()
    weight = distribution(half, roughness) * cosine.clamp(min=0) * area
    return (weight @ light) / weight.sum(dim=1, keepdim=True)
