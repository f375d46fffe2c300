"""Texture coordinates: xatlas's charts, or, where these take too long, a grid of pairs of triangles."""

from __future__ import annotations

import io
import logging
import math
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from models.triangles import Triangles

log = logging.getLogger(__name__)
PROGRAM = Path(__file__).with_name("charts.py")
CELL = 4  # texels: the least edge of a pair's cell; the outermost are its gutter


@dataclass(frozen=True)
class Unwrapped:
    """Where a surface lies in a texture: faces as in the surface, with vertices doubled at the seams between charts."""

    vertex: Int[Tensor, "u"]  # of the surface, which each of these is
    uv: Float[Tensor, "u 2"]  # u to the right, v downward, (0, 0) the upper left corner of the texture, as in glTF
    faces: Int[Tensor, "f 3"]
    size: int  # texels along an edge of the texture
    by: Literal["xatlas", "grid"]
    owner: Int[Tensor, "s s"] | None = None  # the face that each texel is of, -1 for none; None: the one drawn there


def unwrap(surface: Triangles, size: int, seconds: float) -> Unwrapped:
    """Charts if they are found within `seconds`, else `grid`."""
    try:
        return charts(surface, size, seconds)
    except subprocess.TimeoutExpired:
        reason = f"xatlas needs more than {seconds:g} s for {len(surface.faces)} faces"
    except (subprocess.CalledProcessError, ValueError) as error:  # a crash, or nothing that can be read
        reason = f"xatlas failed ({error})"
    log.warning("The texture is a grid of pairs of triangles, not of charts: %s", reason)
    return grid(surface, size)


def charts(surface: Triangles, size: int, seconds: float) -> Unwrapped:
    """By xatlas, in a process of its own, which is killed after `seconds`."""
    given = io.BytesIO()
    triangles = surface.faces.cpu().numpy().astype(np.uint32)
    np.savez(given, vertices=surface.vertices.cpu().numpy(), faces=triangles, size=size, padding=max(2, size // 256))
    command = [sys.executable, "-P", str(PROGRAM)]
    done = subprocess.run(command, input=given.getvalue(), capture_output=True, timeout=seconds, check=True)
    found = np.load(io.BytesIO(done.stdout))
    if not np.array_equal(found["vertex"][found["faces"]], triangles):
        raise ValueError("other faces than it was given")
    vertex, faces, uv = (torch.from_numpy(found[name]).to(surface.faces.device) for name in ("vertex", "faces", "uv"))
    return Unwrapped(vertex, uv, faces, size, "xatlas")


def grid(surface: Triangles, size: int) -> Unwrapped:
    """Two triangles that share an edge are the halves of a square cell, a triangle that is left over half a cell. The
    cells are whole texels, their outermost half outside of the triangles, so that a bilinear lookup sees no other cell.
    The texture grows where the cells would else be too small."""
    first, second = pairs(surface)
    side = math.ceil(math.sqrt(len(first)))
    size = max(size, CELL * side)
    cell = size // side
    index = np.arange(len(first))
    low = np.stack([index % side, index // side], axis=1) * cell + 0.75
    high = low + cell - 1.5
    corners = np.stack([low, np.c_[high[:, 0], low[:, 1]], np.c_[low[:, 0], high[:, 1]], high], axis=1)
    triangles = surface.faces.cpu().numpy()
    paired = second[:, 0] >= 0
    corner = np.concatenate([_rotated(triangles, first), np.zeros((len(first), 1), np.int64)], axis=1)
    corner[paired, 3] = _rotated(triangles, second[paired])[:, 0]
    used = np.c_[np.ones((len(first), 3), bool), paired]
    number = np.cumsum(used).reshape(-1, 4) - 1
    result = np.empty_like(triangles)
    _put(result, first, number[:, [0, 1, 2]])
    _put(result, second[paired], number[paired][:, [3, 2, 1]])
    parts = (corner[used], (corners[used] / size).astype(np.float32), result)
    vertex, uv, faces = (torch.from_numpy(part).to(surface.faces.device) for part in parts)
    owner = torch.from_numpy(_owners(first, second, cell, size)).to(surface.faces.device)
    return Unwrapped(vertex, uv, faces, size, "grid", owner)


def _owners(
    first: Int[np.ndarray, "p 2"], second: Int[np.ndarray, "p 2"], cell: int, size: int
) -> Int[np.ndarray, "s s"]:
    """Texels beyond the diagonal of a cell are the second face's, if there is one: a cell is covered up to its rim."""
    side = math.ceil(math.sqrt(len(first)))
    row, column = np.indices((size, size))
    index = row // cell * side + column // cell
    inside = (row // cell < side) & (column // cell < side) & (index < len(first))
    index = np.where(inside, index, 0)
    beyond = (row % cell + column % cell >= cell - 1) & (second[index, 0] >= 0)
    return np.where(inside, np.where(beyond, second[index, 0], first[index, 0]), -1)


def pairs(surface: Triangles) -> tuple[Int[np.ndarray, "p 2"], Int[np.ndarray, "p 2"]]:
    """Faces by twos, as (face, its corner opposite to the shared edge); (-1, -1) where a face stays alone.

    A matching without augmentation, long edges first: an edge is taken if it is the longest left of both its faces.
    """
    faces = surface.faces.cpu().numpy()
    length = (surface.vertices[surface.faces.roll(-1, 1)] - surface.vertices[surface.faces.roll(1, 1)]).norm(dim=-1)
    start, end = np.roll(faces, -1, axis=1).reshape(-1), np.roll(faces, 1, axis=1).reshape(-1)
    low, high = np.minimum(start, end), np.maximum(start, end)
    order = np.lexsort((high, low))  # half-edge 3 f + k lies opposite to corner k of face f; an edge's are neighbours
    one, other = order[:-1], order[1:]
    same = (start[one] == end[other]) & (end[one] == start[other])
    edges = np.stack([order[:-1], order[1:]], axis=1)[same]
    edges = edges[np.argsort(-length.cpu().numpy().reshape(-1)[edges[:, 0]], kind="stable")]
    mate = np.full(len(faces), -1)
    while len(edges):
        best = np.full(len(faces), len(edges))
        rank = np.arange(len(edges))
        np.minimum.at(best, edges[:, 0] // 3, rank)
        np.minimum.at(best, edges[:, 1] // 3, rank)
        taken = edges[(best[edges[:, 0] // 3] == rank) & (best[edges[:, 1] // 3] == rank)]
        mate[taken[:, 0] // 3], mate[taken[:, 1] // 3] = taken[:, 1], taken[:, 0]
        edges = edges[(mate[edges // 3] < 0).all(axis=1)]
    own = np.where(mate >= 0, mate[np.maximum(mate, 0) // 3], 3 * np.arange(len(faces)))
    leads = (mate < 0) | (own < mate)
    split = lambda half_edge: np.stack([half_edge // 3, half_edge % 3], axis=1)
    second = split(mate[leads])
    second[mate[leads] < 0] = -1
    return split(own[leads]), second


def _rotated(faces: Int[np.ndarray, "f 3"], at: Int[np.ndarray, "p 2"]) -> Int[np.ndarray, "p 3"]:
    """The faces' vertices, from the given corner on."""
    return faces[at[:, :1], (at[:, 1:] + np.arange(3)) % 3]


def _put(faces: Int[np.ndarray, "f 3"], at: Int[np.ndarray, "p 2"], vertices: Int[np.ndarray, "p 3"]) -> None:
    """The inverse of `_rotated`."""
    faces[at[:, :1], (at[:, 1:] + np.arange(3)) % 3] = vertices
