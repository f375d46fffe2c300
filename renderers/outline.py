"""How the outline of triangles covers the pixels that it crosses: what makes a picture differentiable in the shape.

Pixel centres see a triangle or do not, which has no gradient. Between two adjacent centres that see different surfaces
there is an outline: an edge whose triangles all lie on one side of it. Where it crosses the line between the centres
says how far the nearer surface reaches, and that is blended (Laine et al. 2020, sec. 3.5).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

NEAREST = 1e-3  # a triangle with a corner at this depth or nearer is not drawn
HIDDEN = 1e-4  # relative difference of depths by which a pixel must be nearer than an edge to hide it


@dataclass(frozen=True)
class _Edges:
    """Their ends, and the corners opposite to them in two of their triangles (of a boundary edge: in its only one)."""

    ends: Int[Tensor, "e 2"]
    opposite: Int[Tensor, "e 2"]


@dataclass(frozen=True)
class _Outline:
    """n edges of the outline, each in one image."""

    image: Int[Tensor, "n"]
    ends: Float[Tensor, "n 2 3"]  # projected, with gradients
    side: Float[Tensor, "n"]  # > 0: the surface is on the left of the edge, where x points right and y up


@dataclass(frozen=True)
class _Crossings:
    """Where the outline crosses the line between a pixel that sees the nearer surface, and its neighbour."""

    inner: Int[Tensor, "n"]  # index into the pixels of all images
    outer: Int[Tensor, "n"]
    reach: Float[Tensor, "n"]  # from the inner pixel's centre, in [0, 1], with gradients
    nearness: Float[Tensor, "n"]  # 1 / depth of the edge there

    def __getitem__(self, index: Tensor) -> _Crossings:
        return _Crossings(self.inner[index], self.outer[index], self.reach[index], self.nearness[index])


def antialias(
    image: Float[Tensor, "b h w c"],
    face: Int[Tensor, "b h w"],
    projected: Float[Tensor, "b v 3"],
    faces: Int[Tensor, "f 3"],
) -> Float[Tensor, "b h w c"]:
    """`image` with smooth outlines; differentiable in it, and in the positions in the image.

    A surface that reaches beyond half-way to the neighbouring centre covers `reach - 1/2` of that pixel; one that does
    not reach it leaves `1/2 - reach` of its own pixel to the neighbour. Steep edges are looked for between horizontal
    neighbours, the others between vertical ones, so that the area an edge sweeps when it moves is counted once.
    """
    outline = _outline(projected, _edges(faces))
    found = [_seen(_crossings(outline, face, axis), face, projected, faces) for axis in (0, 1)]
    inner, outer = (torch.cat([getattr(part, name) for part in found]) for name in ("inner", "outer"))
    beyond = torch.cat([part.reach for part in found]) - 0.5
    source, target = torch.where(beyond > 0, inner, outer), torch.where(beyond > 0, outer, inner)
    share = torch.where(beyond > 0, beyond, -beyond)  # unlike abs(), it has a gradient at 0
    total = image.new_zeros(face.numel()).index_add(0, target, share)
    share = share / total.clamp(min=1).index_select(0, target)  # at a pixel that several edges cross
    flat = image.flatten(0, 2)
    change = share[:, None] * (flat.index_select(0, source) - flat.index_select(0, target))
    return flat.index_add(0, target, change).view_as(image)


def _edges(faces: Int[Tensor, "f 3"]) -> _Edges:
    """Of an edge with more than two triangles, the first and the last count."""
    sides = torch.stack([faces, faces.roll(-1, dims=1)], dim=-1).view(-1, 2)
    low, high = torch.minimum(*sides.unbind(dim=1)), torch.maximum(*sides.unbind(dim=1))
    key, order = torch.sort((low << 32) | high, stable=True)
    new = torch.ones_like(key, dtype=torch.bool)
    new[1:] = key[1:] != key[:-1]
    first, last = order[new], order[new.roll(-1)]
    opposite = faces.roll(-2, dims=1).flatten()
    return _Edges(sides[first], torch.stack([opposite[first], opposite[last]], dim=-1))


def _outline(projected: Float[Tensor, "b v 3"], edges: _Edges) -> _Outline:
    with torch.no_grad():
        points = projected.double()
        begin, end = points[:, edges.ends[:, 0]], points[:, edges.ends[:, 1]]
        first, last = points[:, edges.opposite[:, 0]], points[:, edges.opposite[:, 1]]
        side = _side(begin, end, first)
        far = points[..., 2] > NEAREST
        corners = torch.cat([edges.ends, edges.opposite], dim=1).unbind(dim=1)
        drawn = functools.reduce(torch.logical_and, (far[:, corner] for corner in corners))
        image, edge = ((side * _side(begin, end, last) > 0) & drawn).nonzero().unbind(dim=1)
    index = edges.ends[edge] + image[:, None] * projected.shape[1]
    ends = projected.flatten(0, 1).index_select(0, index.flatten()).view(-1, 2, 3)
    return _Outline(image, ends, side[image, edge])


def _side(
    begin: Float[Tensor, "b e 3"], end: Float[Tensor, "b e 3"], point: Float[Tensor, "b e 3"]
) -> Float[Tensor, "b e"]:
    (dx, dy, _), (x, y, _) = (end - begin).unbind(dim=-1), (point - begin).unbind(dim=-1)
    return dx * y - dy * x


def _crossings(outline: _Outline, face: Int[Tensor, "b h w"], axis: int) -> _Crossings:
    """Between neighbours along axis 0 (the columns) or 1 (the rows), on the lines through the pixels' centres."""
    _, height, width = face.shape
    n_along, n_lines = (width, height) if axis == 0 else (height, width)
    stride, line_stride = (1, width) if axis == 0 else (width, 1)
    position = outline.ends[..., :2] if axis == 0 else outline.ends[..., :2].flip(-1)
    edge, line = _lines_met(position.detach(), n_lines, strictly=axis == 1)
    (x0, y0), (x1, y1) = (end.unbind(dim=-1) for end in position.index_select(0, edge).unbind(dim=1))
    share = (line + 0.5 - y0) / (y1 - y0)
    along = x0 + share * (x1 - x0)
    cell = (along.detach() - 0.5).floor()
    after = (outline.side[edge] * (y1 - y0).detach() < 0) == (axis == 0)  # is the surface at greater x
    reach = torch.where(after, cell + 1.5 - along, along - cell - 0.5)
    first = outline.image[edge] * (height * width) + line * line_stride + cell.long() * stride
    ends = 1 / outline.ends[..., 2].detach().index_select(0, edge)
    nearness = torch.lerp(ends[:, 0], ends[:, 1], share.detach())
    both = first + torch.where(after, stride, 0), first + torch.where(after, 0, stride)
    index = ((cell >= 0) & (cell < n_along - 1)).nonzero()[:, 0]
    return _Crossings(*both, reach, nearness)[index]


def _lines_met(
    position: Float[Tensor, "n 2 2"], n_lines: int, strictly: bool
) -> tuple[Int[Tensor, "m"], Int[Tensor, "m"]]:
    """Edges steeper than the diagonal, once for each line y = k + 1/2 that they cross, and k."""
    width, height = (position[:, 1] - position[:, 0]).abs().unbind(dim=1)
    steep = height > width if strictly else height >= width
    ends = (position[..., 1] - 0.5).ceil().clamp(0, n_lines).long().unbind(dim=1)
    low, high = torch.minimum(*ends), torch.maximum(*ends)
    count = torch.where(steep, high - low, 0)
    edge = torch.repeat_interleave(count)
    before = count.cumsum(0) - count
    return edge, torch.arange(len(edge), device=edge.device) - before[edge] + low[edge]


def _seen(
    crossings: _Crossings, face: Int[Tensor, "b h w"], projected: Float[Tensor, "b v 3"], faces: Int[Tensor, "f 3"]
) -> _Crossings:
    """Those between two surfaces and not behind the farther one; of several between two pixels the nearest."""
    inner, outer = face.flatten()[crossings.inner], face.flatten()[crossings.outer]
    crossings = crossings[((inner >= 0) & (inner != outer)).nonzero()[:, 0]]
    behind = _nearness(crossings.outer, face, projected.detach(), faces)
    crossings = crossings[(behind <= crossings.nearness * (1 + HIDDEN)).nonzero()[:, 0]]
    order = torch.argsort(crossings.nearness, descending=True, stable=True)
    pair = torch.minimum(crossings.inner, crossings.outer)[order]
    pair, by_pair = torch.sort(pair, stable=True)
    new = torch.ones_like(pair, dtype=torch.bool)
    new[1:] = pair[1:] != pair[:-1]
    return crossings[order[by_pair[new]]]


def _nearness(
    pixel: Int[Tensor, "n"], face: Int[Tensor, "b h w"], projected: Float[Tensor, "b v 3"], faces: Int[Tensor, "f 3"]
) -> Float[Tensor, "n"]:
    """1 / depth of what is seen at pixels; 0 where nothing is."""
    _, height, width = face.shape
    seen = face.flatten()[pixel]
    corners = projected[(pixel // (height * width))[:, None], faces[seen.clamp(min=0)]].double()
    center = torch.stack([pixel % width, pixel // width % height], dim=-1) + 0.5
    x, y = (corners[..., :2] - center[:, None]).unbind(dim=-1)
    area = x.roll(-1, 1) * y.roll(-2, 1) - x.roll(-2, 1) * y.roll(-1, 1)
    value = (area / area.sum(dim=1, keepdim=True)).clamp(0, 1) / corners[..., 2]
    return torch.where(seen < 0, 0.0, value.sum(dim=1)).to(projected.dtype)
