"""Rasterising a ball of 20,480 triangles at 256 x 256, forward and backward, step by step:
python -m benchmarks.raster [--views 1] [--size 256] [--subdivisions 5] [--threads 2] [--definition]."""

from __future__ import annotations

import argparse
import math

import numba
import torch
import trimesh
from rich.console import Console
from rich.table import Table

from benchmarks.kernels import Case, measure
from data.cameras import Cameras, look_at_origin
from renderers.rasterizing import TORCH, RasterKernels, barycentric, interpolate, load_numba


def orbit(n: int, size: int) -> Cameras:
    fov = torch.full((n,), math.radians(40))
    azimuth = 0.3 + torch.arange(n) * 2 * math.pi / n
    return look_at_origin(azimuth, torch.full((n,), 0.26), torch.full((n,), 1.5), fov, size, size)


def cases(cameras: Cameras, subdivisions: int, kernels: RasterKernels) -> dict[str, Case]:
    mesh = trimesh.creation.icosphere(subdivisions, radius=0.4)
    vertices = torch.tensor(mesh.vertices, dtype=torch.float32, requires_grad=True)
    faces, size = torch.tensor(mesh.faces).long(), (cameras.height, cameras.width)
    projected = cameras.project(vertices).detach()
    face = kernels.visible(projected, faces, *size)
    weight = barycentric(projected, faces, face)
    image = interpolate(vertices, faces, face, weight).detach()

    def forward() -> torch.Tensor:
        projected = cameras.project(vertices)
        face = kernels.visible(projected.detach(), faces, *size)
        seen = interpolate(vertices, faces, face, barycentric(projected, faces, face))
        return kernels.antialias(seen, face, projected, faces)

    def both() -> None:
        vertices.grad = None
        forward().square().mean().backward()

    return {
        "project": lambda: cameras.project(vertices),
        "visible": lambda: kernels.visible(projected, faces, *size),
        "barycentric": lambda: barycentric(projected, faces, face),
        "interpolate": lambda: interpolate(vertices, faces, face, weight),
        "antialias": lambda: kernels.antialias(image, face, projected, faces),
        "forward": forward,
        "forward and backward": both,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=numba.config.NUMBA_NUM_THREADS)
    parser.add_argument("--views", type=int, default=1)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--subdivisions", type=int, default=5, help="20 * 4^n triangles")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--definition", action="store_true", help="torch instead of numba: a minute")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    numba.set_num_threads(options.threads)
    kernels = TORCH if options.definition else load_numba()
    title = f"Milliseconds, {options.views} x {options.size}^2, {20 * 4**options.subdivisions:,} triangles"
    table = Table(title=f"{title}, {options.threads} threads")
    for column in ("", "least", "median"):
        table.add_column(column, justify="right" if column else "left")
    for name, case in cases(orbit(options.views, options.size), options.subdivisions, kernels).items():
        table.add_row(name, *(f"{time:.1f}" for time in measure(case, options.repeats)))
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
