"""Toys to images: every ray meets every part in closed form; the light is fixed to the world, not to the camera."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from numba import njit, prange
from torch import Tensor

from data.cameras import Cameras
from data.jit import cached_njit
from data.toybox.parts import BOX, ELLIPSOID, Part

BACKGROUND = 0.5
SKY, KEY = 0.22, 0.18  # shade = 1 - SKY - KEY + SKY * n_z + KEY * max(0, n . LIGHT)
LIGHT = np.array([0.8, 0.0, 0.6])


def render(
    parts: Sequence[Part], cameras: Cameras, supersampling: int = 2, light: np.ndarray = LIGHT
) -> Float[Tensor, "b h w 4"]:
    """Colours composited over the grey background, and coverage as the fourth channel. light: unit vector to it."""
    image = np.empty((len(cameras), cameras.height, cameras.width, 4), dtype=np.float32)
    color = np.array([p.color for p in parts], dtype=np.float32)
    _render(*_views(cameras), *_solids(parts), color, light.astype(np.float32), supersampling, image)
    return torch.from_numpy(image)


def visible_surface(parts: Sequence[Part], cameras: Cameras) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 3"]]:
    """Where the rays through the pixels' centres first meet the toy, and the unit normals there."""
    points = np.full((len(cameras), cameras.height, cameras.width, 6), np.nan, dtype=np.float32)
    _surface(*_views(cameras), *_solids(parts), points)
    position, normal = torch.from_numpy(points).flatten(0, 2).split(3, dim=1)
    met = ~position.isnan().any(dim=1)
    return position[met], normal[met]


def _views(cameras: Cameras) -> tuple[np.ndarray, np.ndarray]:
    return cameras.c2w.numpy().astype(np.float32), np.tan(cameras.fov_y.numpy() / 2).astype(np.float32)


def _solids(parts: Sequence[Part]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """inverse, reach, center, shape, taper: see `_render`."""
    matrix = np.stack([p.matrix for p in parts])
    inverse = np.linalg.inv(matrix).astype(np.float32)
    center = np.stack([p.center for p in parts]).astype(np.float32)
    shape = np.array([p.shape for p in parts], dtype=np.int32)
    taper = np.array([p.taper for p in parts], dtype=np.float32)
    reach = (matrix * np.maximum(1, taper)[:, None, None]).astype(np.float32)
    return inverse, reach, center, shape, taper


@cached_njit(parallel=True, fastmath=True)
def _render(c2w, half, inverse, reach, center, shape, taper, color, light, n_sub, image):
    """Fills image (b, h, w, 4) from b cameras, c2w (b, 4, 4) and half = tan(fov_y / 2) (b), by n_sub^2 rays a pixel.

    Of p parts: inverse (p, 3, 3) takes world vectors to a part's own space, where it is a unit shape; reach (p, 3, 3):
    the half edges of a box around it, in columns; center (p, 3); color (p, 3); shape (p), its kind; taper (p), of
    frustums. light (3): unit vector to the light.
    """
    n_images, height, width, _ = image.shape
    for row_index in prange(n_images * height):
        b, row = row_index // height, row_index % height
        origin = c2w[b, :3, 3]
        parts = _along_row(c2w[b], half[b] * (1 - (2 * row + 1) / height), half[b] / height, reach, center)
        local_origin = _to_parts(origin, parts, inverse, center)
        for column in range(width):
            red, green, blue, alpha = 0.0, 0.0, 0.0, 0.0
            for sub in range(n_sub * n_sub):
                x = (2 * (column + (sub % n_sub + 0.5) / n_sub) / width - 1) * half[b] * width / height
                y = (1 - 2 * (row + (sub // n_sub + 0.5) / n_sub) / height) * half[b]
                dx, dy, dz = _direction(c2w[b], x, y)
                hit, _, nx, ny, nz = _nearest(parts, local_origin, dx, dy, dz, inverse, shape, taper)
                if hit < 0:
                    red += BACKGROUND
                    green += BACKGROUND
                    blue += BACKGROUND
                    continue
                key = max(0.0, nx * light[0] + ny * light[1] + nz * light[2])
                shade = 1 - SKY - KEY + SKY * nz + KEY * key
                red += color[hit, 0] * shade
                green += color[hit, 1] * shade
                blue += color[hit, 2] * shade
                alpha += 1.0
            share = 1.0 / (n_sub * n_sub)
            image[b, row, column, 0] = red * share
            image[b, row, column, 1] = green * share
            image[b, row, column, 2] = blue * share
            image[b, row, column, 3] = alpha * share


@cached_njit(parallel=True, fastmath=True)
def _surface(c2w, half, inverse, reach, center, shape, taper, points):
    """As `_render`, with one ray a pixel: fills points (b, h, w, 6) with position and normal where a part is met."""
    n_images, height, width, _ = points.shape
    for row_index in prange(n_images * height):
        b, row = row_index // height, row_index % height
        origin = c2w[b, :3, 3]
        y = half[b] * (1 - (2 * row + 1) / height)
        parts = _along_row(c2w[b], y, half[b] / height, reach, center)
        local_origin = _to_parts(origin, parts, inverse, center)
        for column in range(width):
            x = half[b] * (2 * column + 1 - width) / height
            dx, dy, dz = _direction(c2w[b], x, y)
            hit, t, nx, ny, nz = _nearest(parts, local_origin, dx, dy, dz, inverse, shape, taper)
            if hit >= 0:
                point = points[b, row, column]
                point[0], point[1], point[2] = origin[0] + t * dx, origin[1] + t * dy, origin[2] + t * dz
                point[3], point[4], point[5] = nx, ny, nz


@njit(fastmath=True, inline="always")
def _direction(c2w, x, y):
    """World direction, of any length, of the ray through (x, y) at distance 1 from the camera."""
    dx = c2w[0, 0] * x + c2w[0, 1] * y - c2w[0, 2]
    dy = c2w[1, 0] * x + c2w[1, 1] * y - c2w[1, 2]
    dz = c2w[2, 0] * x + c2w[2, 1] * y - c2w[2, 2]
    return dx, dy, dz


@njit(fastmath=True)
def _to_parts(origin, parts, inverse, center):
    """The rays' origin in the own space of each of `parts`, (p, 3): shared by a whole row; other rows stay empty."""
    local_origin = np.empty(center.shape, dtype=np.float32)
    for p in parts:
        for i in range(3):
            local_origin[p, i] = 0.0
            for j in range(3):
                local_origin[p, i] += inverse[p, i, j] * (origin[j] - center[p, j])
    return local_origin


@njit(fastmath=True)
def _along_row(c2w, y, pixel, reach, center):
    """The parts that rays of one picture row can meet: their boxes touch the plane of the row, `pixel` thick each side.

    y: the row's height at distance 1 from the camera.
    """
    # The plane holds the camera's x axis and the ray through the row's middle, so that its normal is y axis + y z axis.
    found = np.empty(len(center), dtype=np.int64)
    count = 0
    length = np.sqrt(1 + y * y)
    for p in range(len(center)):
        offset, extent, distance = 0.0, 0.0, 0.0
        for i in range(3):
            to_center = center[p, i] - c2w[i, 3]
            offset += to_center * (c2w[i, 1] + y * c2w[i, 2])
            distance += to_center * to_center
        for k in range(3):
            along = 0.0
            for i in range(3):
                along += reach[p, i, k] * (c2w[i, 1] + y * c2w[i, 2])
            extent += abs(along)
        if abs(offset) <= extent * (1 + pixel) + 2 * pixel * length * (np.sqrt(distance) + extent):
            found[count] = p
            count += 1
    return found[:count]


@njit(fastmath=True, inline="always")
def _nearest(parts, local_origin, dx, dy, dz, inverse, shape, taper):
    """The first of `parts` along a ray, how far, and its unit world normal, (part, t, nx, ny, nz); part -1 for none.

    local_origin (p, 3): the ray's origin in each part's own space; (dx, dy, dz): its world direction, of any length.
    """
    best, hit = np.float32(1e9), -1
    mx, my, mz = np.float32(0), np.float32(0), np.float32(0)
    for p in parts:
        m = inverse[p]
        ox, oy, oz = local_origin[p, 0], local_origin[p, 1], local_origin[p, 2]
        ex = m[0, 0] * dx + m[0, 1] * dy + m[0, 2] * dz
        ey = m[1, 0] * dx + m[1, 1] * dy + m[1, 2] * dz
        ez = m[2, 0] * dx + m[2, 1] * dy + m[2, 2] * dz
        if shape[p] == ELLIPSOID:
            t, nx, ny, nz = _hit_ball(ox, oy, oz, ex, ey, ez)
        elif shape[p] == BOX:
            t, nx, ny, nz = _hit_box(ox, oy, oz, ex, ey, ez)
        else:
            t, nx, ny, nz = _hit_frustum(ox, oy, oz, ex, ey, ez, taper[p])
        if 0 < t < best:
            best, hit = t, p
            mx, my, mz = nx, ny, nz
    if hit < 0:
        return hit, best, mx, my, mz
    m = inverse[hit]  # normals map with the inverse transpose
    wx = m[0, 0] * mx + m[1, 0] * my + m[2, 0] * mz
    wy = m[0, 1] * mx + m[1, 1] * my + m[2, 1] * mz
    wz = m[0, 2] * mx + m[1, 2] * my + m[2, 2] * mz
    norm = np.sqrt(wx * wx + wy * wy + wz * wz)
    return hit, best, wx / norm, wy / norm, wz / norm


@njit(fastmath=True, inline="always")
def _hit_ball(ox, oy, oz, dx, dy, dz):
    """Ray o + t d against |x| = 1, as `_hit_box` and `_hit_frustum`: (t, normal of any length), t < 0 for a miss."""
    a = dx * dx + dy * dy + dz * dz
    b = ox * dx + oy * dy + oz * dz
    c = ox * ox + oy * oy + oz * oz - 1
    d = b * b - a * c
    if d < 0:
        return np.float32(-1), ox, oy, oz
    t = (-b - np.sqrt(d)) / a
    return t, ox + t * dx, oy + t * dy, oz + t * dz


@njit(fastmath=False, inline="always")
def _hit_box(ox, oy, oz, dx, dy, dz):
    """Against |x|_inf = 1: the ray is inside between the last entry and the first exit of the three slabs."""
    near, far = np.float32(-1e9), np.float32(1e9)
    axis, sign = 0, np.float32(0)
    for i in range(3):
        o = ox if i == 0 else (oy if i == 1 else oz)
        d = dx if i == 0 else (dy if i == 1 else dz)
        if abs(d) < 1e-9:
            if abs(o) > 1:
                return np.float32(-1), ox, oy, oz
            continue
        s = np.float32(-1) if d > 0 else np.float32(1)
        t0, t1 = (s - o) / d, (-s - o) / d
        if t0 > near:
            near, axis, sign = t0, i, s
        far = min(far, t1)
    if near > far:
        return np.float32(-1), ox, oy, oz
    zero = np.float32(0)
    return near, sign if axis == 0 else zero, sign if axis == 1 else zero, sign if axis == 2 else zero


@njit(fastmath=True, inline="always")
def _hit_frustum(ox, oy, oz, dx, dy, dz, taper):
    """Side: x^2 + y^2 = (u + v z)^2 with u = (1 + taper) / 2, v = (taper - 1) / 2; caps at z = -1 and z = 1."""
    u, v = (1 + taper) / 2, (taper - 1) / 2
    best = np.float32(1e9)
    nx, ny, nz = np.float32(0), np.float32(0), np.float32(0)
    r0, r1 = u + v * oz, v * dz
    a = dx * dx + dy * dy - r1 * r1
    b = ox * dx + oy * dy - r0 * r1
    c = ox * ox + oy * oy - r0 * r0
    d = b * b - a * c
    if d >= 0 and abs(a) > 1e-12:
        root = np.sqrt(d)
        for s in (-1, 1):
            t = (-b + s * root) / a
            z = oz + t * dz
            if 0 < t < best and -1 <= z <= 1 and u + v * z >= 0:
                best = t
                nx, ny, nz = ox + t * dx, oy + t * dy, -(u + v * z) * v
    if abs(dz) > 1e-9:
        for s in (-1, 1):
            t = (s - oz) / dz
            radius = u + v * s
            x, y = ox + t * dx, oy + t * dy
            if 0 < t < best and x * x + y * y <= radius * radius:
                best = t
                nx, ny, nz = np.float32(0), np.float32(0), np.float32(s)
    if best > 1e8:
        return np.float32(-1), nx, ny, nz
    return best, nx, ny, nz
