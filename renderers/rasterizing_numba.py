"""CPU twin of `rasterizing.visible`, equal to it to the last bit: the same sums in the same order. Compiled once, see
models/hashgrid_numba.py.

Each strip of rows draws all triangles in order, so the number of threads does not change the picture.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from numba import njit, prange
from torch import Tensor

from data.jit import cached_njit
from renderers.outline import NEAREST

STRIP = 16  # rows
HALF = 0.5


@njit(inline="always")
def _line(x0, y0, x1, y1):
    """Of an edge: a point on it, its slopes A and B, and whether its ends were exchanged."""
    if x1 < x0 or (x1 == x0 and y1 < y0):
        return x1, y1, y1 - y0, x0 - x1, True
    return x0, y0, y0 - y1, x1 - x0, False


@njit(inline="always")
def _first(low, size):
    """Index of the first centre at `low` or after it."""
    return np.int64(min(max(np.ceil(low - HALF), 0.0), float(size)))


@njit(inline="always")
def _end(high, size):
    return np.int64(min(max(np.floor(high - HALF) + 1.0, 0.0), float(size)))


@cached_njit()
def _draw(a, b, c, index, rows, nearness, nearest):
    """One triangle into one strip. a, b, c: x, y, depth of its corners in float64; rows: the strip's first, and end."""
    ax, ay, bx, by, cx, cy = a[0], a[1], b[0], b[1], c[0], c[1]
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    if area == 0.0:
        return
    width = nearest.shape[1]
    first, end = _first(min(ax, bx, cx), width), _end(max(ax, bx, cx), width)
    x0, y0, a0, b0, turned0 = _line(ax, ay, bx, by)
    x1, y1, a1, b1, turned1 = _line(bx, by, cx, cy)
    x2, y2, a2, b2, turned2 = _line(cx, cy, ax, ay)
    positive = area > 0.0
    value, value_b, value_c = 1.0 / a[2], 1.0 / b[2], 1.0 / c[2]
    low, high = min(value, value_b, value_c), max(value, value_b, value_c)
    slope_x = ((value_b - value) * (cy - ay) - (value_c - value) * (by - ay)) / area
    slope_y = ((value_c - value) * (bx - ax) - (value_b - value) * (cx - ax)) / area
    for row in range(rows[0], rows[1]):
        y = row + HALF
        e0, e1, e2, depth_row = b0 * (y - y0), b1 * (y - y1), b2 * (y - y2), slope_y * (y - ay)
        for column in range(first, end):
            x = column + HALF
            if (
                ((a0 * (x - x0) + e0 >= 0.0) == (positive != turned0))
                and ((a1 * (x - x1) + e1 >= 0.0) == (positive != turned1))
                and ((a2 * (x - x2) + e2 >= 0.0) == (positive != turned2))
            ):
                near = min(max(value + (slope_x * (x - ax) + depth_row), low), high)
                if near > nearness[row, column]:
                    nearness[row, column] = near
                    nearest[row, column] = index


@cached_njit(parallel=True)
def _rows(projected, faces, height, rows):
    """Of each triangle in each image the rows that it may meet: none, if it is not to be drawn."""
    n_faces = faces.shape[0]
    for job in prange(projected.shape[0] * n_faces):
        image, index = job // n_faces, job % n_faces
        low, high, drawn = np.inf, -np.inf, True
        for k in range(3):
            x, y, depth = projected[image, faces[index, k]]
            drawn &= depth > NEAREST and np.isfinite(x) and np.isfinite(y) and np.isfinite(depth)
            low, high = min(low, y), max(high, y)
        rows[image, index, 0] = _first(low, height) if drawn else 0
        rows[image, index, 1] = _end(high, height) if drawn else 0


@cached_njit(parallel=True)
def _visible(projected, faces, rows, nearness, nearest):
    height = nearest.shape[1]
    n_strips = (height + STRIP - 1) // STRIP
    for job in prange(projected.shape[0] * n_strips):
        image, begin = job // n_strips, job % n_strips * STRIP
        end = min(begin + STRIP, height)
        for index in range(faces.shape[0]):
            first, last = max(rows[image, index, 0], begin), min(rows[image, index, 1], end)
            if first < last:
                a = projected[image, faces[index, 0]].astype(np.float64)
                b = projected[image, faces[index, 1]].astype(np.float64)
                c = projected[image, faces[index, 2]].astype(np.float64)
                _draw(a, b, c, index, (first, last), nearness[image], nearest[image])


def visible_numba(
    projected: Float[Tensor, "b v 3"], faces: Int[Tensor, "f 3"], height: int, width: int
) -> Int[Tensor, "b h w"]:
    points, corners = projected.detach().contiguous().numpy(), faces.contiguous().numpy()
    rows = np.empty((len(points), len(corners), 2), np.int32)
    nearness = np.zeros((len(points), height, width))
    nearest = torch.full(nearness.shape, -1)
    _rows(points, corners, height, rows)
    _visible(points, corners, rows, nearness, nearest.numpy())
    return nearest
