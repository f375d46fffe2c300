"""Triangles to pixels: which one is seen, where on it, and how its outline moves. The definitions.

Positions are projected: (column, row, depth along the view axis) in pixels; pixel (r, c) has its centre at column
c + 0.5, row r + 0.5. Every definition also runs on CUDA tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from models.backends import Backend, ByDevice, Source, choose
from renderers.outline import NEAREST, antialias

AT_ONCE = 2**22  # pairs of a triangle and a pixel
THINNEST = 1e-4  # twice the area in pixels below which the place in a triangle is noise, and has no gradient
NVDIFFRAST = 'pip install --no-build-isolation "git+https://github.com/NVlabs/nvdiffrast"'


@dataclass(frozen=True)
class _Halves:
    """Of each triangle (f) and each of its edges: the line, and on which side of it the triangle is.

    A line is A (x - x0) + B (y - y0), computed from its ends in one order, whichever triangle asks: neighbours get the
    same bits, so that every pixel on a shared edge is in exactly one of them.
    """

    start: Float[Tensor, "f 3 2"]
    slope: Float[Tensor, "f 3 2"]  # A, B
    positive: Bool[Tensor, "f 3"]

    def contain(self, x: Float[Tensor, "w"], y: Float[Tensor, "h 1"], part: slice) -> Bool[Tensor, "f h w"]:
        inside = None
        for start, slope, positive in zip(
            *(value[part].unbind(dim=1) for value in (self.start, self.slope, self.positive)), strict=True
        ):
            (x0, y0), (a, b) = _columns(start), _columns(slope)
            within = (a * (x - x0) + b * (y - y0) >= 0) == positive[:, None, None]
            inside = within if inside is None else inside & within
        assert inside is not None
        return inside


@torch.no_grad()
def visible(
    projected: Float[Tensor, "b v 3"], faces: Int[Tensor, "f 3"], height: int, width: int
) -> Int[Tensor, "b h w"]:
    """The triangle nearest to the camera at each pixel centre, the first of equally near ones; -1 where there is none.

    Both sides are drawn. 1 / depth is linear in the image, and compared. Every triangle is tried at every pixel.
    """
    return torch.stack([_nearest(image.double(), faces, height, width) for image in projected])


def _nearest(points: Float[Tensor, "v 3"], faces: Int[Tensor, "f 3"], height: int, width: int) -> Int[Tensor, "h w"]:
    x = torch.arange(width, device=points.device, dtype=torch.float64) + 0.5
    y = (torch.arange(height, device=points.device, dtype=torch.float64) + 0.5)[:, None]
    index, corners = _drawable(points, faces)
    halves, planes = _halves(corners), _inverse_depth(corners)
    nearness = points.new_zeros(height, width)
    nearest = torch.full((height, width), -1, device=points.device)
    size = max(AT_ONCE // (height * width), 1)
    for begin in range(0, len(index), size):
        part = slice(begin, begin + size)
        x0, y0, value, a, b, low, high = _columns(planes[part])
        depth = (value + (a * (x - x0) + b * (y - y0))).clamp(low, high)
        depth = torch.where(halves.contain(x, y, part), depth, 0.0)
        first = depth.argmax(dim=0, keepdim=True)
        best = depth.gather(0, first)[0]
        nearest = torch.where(best > nearness, index[part][first[0]], nearest)
        nearness = torch.maximum(best, nearness)
    return nearest


def _drawable(
    points: Float[Tensor, "v 3"], faces: Int[Tensor, "f 3"]
) -> tuple[Int[Tensor, "d"], Float[Tensor, "d 3 3"]]:
    corners = points[faces]
    drawn = (corners[..., 2] > NEAREST).all(dim=1) & corners.isfinite().flatten(1).all(dim=1)
    index = (drawn & (_doubled_area(corners) != 0)).nonzero()[:, 0]
    return index, corners[index]


def _halves(corners: Float[Tensor, "f 3 3"]) -> _Halves:
    begin, end = corners[..., :2], corners[..., :2].roll(-1, dims=1)
    (x0, y0), (x1, y1) = begin.unbind(dim=-1), end.unbind(dim=-1)
    turned = (x1 < x0) | ((x1 == x0) & (y1 < y0))
    start = torch.where(turned[..., None], end, begin)
    stop = torch.where(turned[..., None], begin, end)
    slope = torch.stack([start[..., 1] - stop[..., 1], stop[..., 0] - start[..., 0]], dim=-1)
    return _Halves(start, slope, (_doubled_area(corners) > 0)[:, None] != turned)


def _inverse_depth(corners: Float[Tensor, "f 3 3"]) -> Float[Tensor, "f 7"]:
    """x0, y0, value there, slopes A and B, least and greatest value: 1 / depth = value + A (x - x0) + B (y - y0)."""
    x, y, depth = corners.unbind(dim=-1)
    value = 1 / depth
    (dx1, dx2), (dy1, dy2), (dv1, dv2) = ((part[:, 1:] - part[:, :1]).unbind(dim=1) for part in (x, y, value))
    area = _doubled_area(corners)
    a, b = (dv1 * dy2 - dv2 * dy1) / area, (dv2 * dx1 - dv1 * dx2) / area
    return torch.stack([x[:, 0], y[:, 0], value[:, 0], a, b, value.amin(dim=1), value.amax(dim=1)], dim=-1)


def _doubled_area(corners: Float[Tensor, "f 3 c"]) -> Float[Tensor, "f"]:
    (x0, y0), (x1, y1), (x2, y2) = (corner[:, :2].unbind(dim=1) for corner in corners.unbind(dim=1))
    return (x1 - x0) * (y2 - y0) - (y1 - y0) * (x2 - x0)


def _columns(values: Float[Tensor, "f c"]) -> list[Float[Tensor, "f 1 1"]]:
    return list(values[:, :, None, None].unbind(dim=1))


def barycentric(
    projected: Float[Tensor, "b v 3"], faces: Int[Tensor, "f 3"], face: Int[Tensor, "b h w"]
) -> Float[Tensor, "b h w 3"]:
    """Perspective-correct weights of the three corners at the pixel centres: w_k proportional to the area opposite to
    corner k over its depth. 0 where nothing is seen."""
    n_vertices, width = projected.shape[1], face.shape[2]
    pixel = (face.flatten() >= 0).nonzero()[:, 0]
    corner = faces.index_select(0, face.flatten()[pixel]) + (pixel // face[0].numel())[:, None] * n_vertices
    corners = projected.flatten(0, 1).index_select(0, corner.flatten()).view(-1, 3, 3).double()
    center = torch.stack([pixel % width, pixel // width % face.shape[1]], dim=-1) + 0.5
    x, y = (corners[..., :2] - center[:, None]).unbind(dim=-1)
    area = x.roll(-1, 1) * y.roll(-2, 1) - x.roll(-2, 1) * y.roll(-1, 1)
    thin = area.detach().sum(dim=1, keepdim=True).abs() < THINNEST
    weight = torch.where(thin, area.detach(), area) / corners[..., 2]
    weight = (weight / weight.sum(dim=1, keepdim=True)).clamp(0, 1).to(projected.dtype)
    return projected.new_zeros(face.numel(), 3).index_copy(0, pixel, weight).view(*face.shape, 3)


def interpolate(
    values: Float[Tensor, "v c"],
    faces: Int[Tensor, "f 3"],
    face: Int[Tensor, "b h w"],
    barycentric: Float[Tensor, "b h w 3"],
) -> Float[Tensor, "b h w c"]:
    """What the corners have, weighted; 0 where nothing is seen."""
    pixel = (face.flatten() >= 0).nonzero()[:, 0]
    corner = faces.index_select(0, face.flatten()[pixel]).flatten()
    weight = barycentric.flatten(0, 2).index_select(0, pixel)
    seen = (values.index_select(0, corner).view(len(pixel), 3, values.shape[1]) * weight[..., None]).sum(dim=1)
    return values.new_zeros(face.numel(), values.shape[1]).index_copy(0, pixel, seen).view(*face.shape, -1)


@dataclass(frozen=True)
class RasterKernels:
    """What has twins. Names and meaning of the arguments: see the definitions, `visible` and `outline.antialias`."""

    visible: Callable[[Float[Tensor, "b v 3"], Int[Tensor, "f 3"], int, int], Int[Tensor, "b h w"]]
    antialias: Callable[
        [Float[Tensor, "b h w c"], Int[Tensor, "b h w"], Float[Tensor, "b v 3"], Int[Tensor, "f 3"]],
        Float[Tensor, "b h w c"],
    ]


TORCH = RasterKernels(visible, antialias)


def load_numba() -> RasterKernels:
    from renderers.rasterizing_numba import visible_numba

    return RasterKernels(visible_numba, antialias)


def load_nvdiffrast() -> RasterKernels:
    from renderers.rasterizing_cuda import NvDiffRast

    twin = NvDiffRast()
    return RasterKernels(twin.visible, twin.antialias)


def choose_raster_kernels(backend: Backend, key: str = "renderer.backend") -> ByDevice[RasterKernels]:
    return choose(backend, TORCH, Source(load_numba, "pip install numba"), Source(load_nvdiffrast, NVDIFFRAST), key)
