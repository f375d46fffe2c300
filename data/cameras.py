"""Pinhole cameras and rays. OpenGL camera axes (x right, y up, looks along -z); world z up, +x the front; radians."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Rays:
    origins: Float[Tensor, "b h w 3"]
    directions: Float[Tensor, "b h w 3"]  # unit length


@dataclass(frozen=True)
class Cameras:
    """A batch of b cameras on spheres around the origin; azimuth 0 looks at the object's front, pi/2 at its +y side.

    Of a shaken camera only `c2w` is; the angles and the distance are those from where it was meant to look.
    """

    c2w: Float[Tensor, "b 4 4"]
    fov_y: Float[Tensor, "b"]
    azimuth: Float[Tensor, "b"]
    elevation: Float[Tensor, "b"]
    distance: Float[Tensor, "b"]
    height: int
    width: int

    def __len__(self) -> int:
        return self.c2w.shape[0]

    @property
    def position(self) -> Float[Tensor, "b 3"]:
        return self.c2w[:, :3, 3]

    def __getitem__(self, index: slice | Tensor) -> Cameras:
        return self._map(lambda x: x[index])

    def to(self, device: torch.device | str) -> Cameras:
        return self._map(lambda x: x.to(device))

    def _map(self, f: Callable[[Tensor], Tensor]) -> Cameras:
        angles = f(self.azimuth), f(self.elevation)
        return Cameras(f(self.c2w), f(self.fov_y), *angles, f(self.distance), self.height, self.width)

    def rays(self) -> Rays:
        """Rays through pixel centres, row 0 at the top."""
        half = torch.tan(self.fov_y / 2)[:, None, None]
        device = self.c2w.device
        y = 1 - 2 * (torch.arange(self.height, device=device) + 0.5) / self.height
        x = 2 * (torch.arange(self.width, device=device) + 0.5) / self.width - 1
        y, x = torch.meshgrid(y, x * self.width / self.height, indexing="ij")
        local = torch.stack([x * half, y * half, -torch.ones_like(x * half)], dim=-1)
        directions = torch.einsum("bij,bhwj->bhwi", self.c2w[:, :3, :3], local)
        directions = directions / directions.norm(dim=-1, keepdim=True)
        return Rays(self.position[:, None, None].expand_as(directions), directions)

    def project(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, "b n 3"]:
        """World points to (column, row, depth along the view axis), in pixels; the inverse of `rays`."""
        local = torch.einsum("bji,bnj->bni", self.c2w[:, :3, :3], points[None] - self.position[:, None])
        depth = -local[..., 2]
        scale = depth * torch.tan(self.fov_y / 2)[:, None]
        column = (local[..., 0] / scale * self.height / self.width + 1) * self.width / 2
        row = (1 - local[..., 1] / scale) * self.height / 2
        return torch.stack([column, row, depth], dim=-1)


def join(parts: Sequence[Cameras]) -> Cameras:
    """One batch of several, of pictures of one size."""
    cat = lambda name: torch.cat([getattr(part, name) for part in parts])
    c2w, fov_y, azimuth, elevation, distance = map(cat, ("c2w", "fov_y", "azimuth", "elevation", "distance"))
    return Cameras(c2w, fov_y, azimuth, elevation, distance, parts[0].height, parts[0].width)


def look_at_origin(
    azimuth: Float[Tensor, "b"],
    elevation: Float[Tensor, "b"],
    distance: Float[Tensor, "b"],
    fov_y: Float[Tensor, "b"],
    height: int,
    width: int,
) -> Cameras:
    """Cameras on a sphere that look at its centre, with the world's z up in the image."""
    cos, sin = torch.cos(elevation), torch.sin(elevation)
    back = torch.stack([cos * torch.cos(azimuth), cos * torch.sin(azimuth), sin], dim=-1)
    right = torch.stack([-torch.sin(azimuth), torch.cos(azimuth), torch.zeros_like(azimuth)], dim=-1)
    up = torch.linalg.cross(back, right)
    c2w = torch.zeros(*azimuth.shape, 4, 4, device=azimuth.device)
    c2w[:, :3, 0], c2w[:, :3, 1], c2w[:, :3, 2] = right, up, back
    c2w[:, :3, 3] = back * distance[:, None]
    c2w[:, 3, 3] = 1
    return Cameras(c2w, fov_y, azimuth, elevation, distance, height, width)


def look_at(
    position: Float[Tensor, "b 3"], target: Float[Tensor, "b 3"], up: Float[Tensor, "b 3"]
) -> Float[Tensor, "b 4 4"]:
    """The c2w of cameras that look at any point, with any direction up in the image."""
    back = torch.nn.functional.normalize(position - target, dim=-1)
    right = torch.nn.functional.normalize(torch.linalg.cross(up, back), dim=-1)
    columns = torch.stack([right, torch.linalg.cross(back, right), back, position], dim=-1)
    last = columns.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(len(position), 1, 4)
    return torch.cat([columns, last], dim=1)


def condition(cameras: Cameras) -> Float[Tensor, "b 16"]:
    """What the prior sees of a camera: c2w, row-major, its position scaled to unit length (MVDream, camera_utils)."""
    c2w = cameras.c2w.clone()
    c2w[:, :3, 3] = torch.nn.functional.normalize(c2w[:, :3, 3], dim=-1)
    return c2w.flatten(1)
