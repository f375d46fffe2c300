"""The renderer's kernels, torch against numba in one run: python -m benchmarks.kernels [--threads 2] [--out FILE]."""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numba
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from data.cameras import Cameras, look_at_origin
from models.backends import Backend
from models.backgrounds import SolidBackground
from models.geometry import BlobMagic3D, ImplicitVolume
from models.hashgrid import HashGrid
from models.materials import Albedo
from models.scene import Scene
from renderers.kernels import TORCH, Kernels, load_numba
from renderers.marching import Segments
from renderers.occupancy import OccupancyGrid
from renderers.volume import Volume

Timing = tuple[float, float]  # least and median, milliseconds
Case = Callable[[], object]

FIELDS = {"fresh, a soft ball": BlobMagic3D(10.0, 0.5), "late, a solid": BlobMagic3D(300.0, 0.35)}


def measure(case: Case, repeats: int) -> Timing:
    """After two runs that compile, load caches and touch memory."""
    case(), case()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        case()
        times.append((time.perf_counter() - start) * 1e3)
    return min(times), statistics.median(times)


def views() -> Cameras:
    """Four views of 64 x 64 pixels, 90 degrees apart."""
    fov = torch.full((4,), math.radians(40))
    return look_at_origin(torch.arange(4) * math.pi / 2, torch.full((4,), 0.25), 1 / torch.tan(fov / 2), fov, 64, 64)


def encoding_cases(backend: Backend) -> dict[str, Case]:
    """200,000 points, 8 levels x 2 features, 2^15 entries."""
    encoding, points = HashGrid(backend=backend), torch.rand(200_000, 3, generator=torch.Generator().manual_seed(0))
    gradient = torch.ones(len(points), encoding.n_output)

    def forward() -> None:
        with torch.no_grad():
            encoding(points)

    return {
        "hash grid, 200k points: forward": forward,
        "hash grid, 200k points: forward + backward": lambda: encoding(points).backward(gradient),
    }


def ray_cases(kernels: Kernels) -> dict[str, Case]:
    """The rays of four views through a half-occupied grid."""
    rng = torch.Generator().manual_seed(0)
    rays = views().rays()
    inputs = rays.origins.reshape(-1, 3), rays.directions.reshape(-1, 3), torch.full((4 * 64 * 64,), 0.5)
    occupied = torch.rand(32, 32, 32, generator=rng) < 0.5

    def march() -> Segments:
        return kernels.march(*inputs, occupied, 0.6, 1.2 / 64)

    segments = march()
    density = (10 * torch.rand(len(segments.ray), generator=rng)).requires_grad_()
    colors = torch.rand(len(segments.ray), 5, generator=rng).requires_grad_()

    def composite() -> Tensor:
        return kernels.accumulate(kernels.weights(density, segments), colors, segments)

    name = f"{len(segments.ray) // 1000}k samples"
    return {
        f"march, 16k rays to {name}": march,
        f"visibility, {name}": lambda: kernels.visible(density.detach(), segments, 0.01, 1e-4),
        f"composite, {name}: forward + backward": lambda: composite().sum().backward(),
    }


def render_cases(backend: Backend) -> dict[str, Case]:
    """The whole renderer, as a training step calls it."""
    cases: dict[str, Case] = {}
    for name, bias in FIELDS.items():
        scene = Scene(ImplicitVolume(HashGrid(backend=backend), bias), Albedo(), SolidBackground())
        renderer, rng = Volume(OccupancyGrid(), backend=backend), torch.Generator().manual_seed(0)
        renderer.update(0, scene, rng)

        def render(renderer: Volume = renderer, scene: Scene = scene, rng: torch.Generator = rng) -> Tensor:
            return renderer(scene, views(), rng).rgb

        cases[f"render 4 x 64^2, {name}: forward"] = render
        cases[f"render 4 x 64^2, {name}: forward + backward"] = lambda render=render: render().sum().backward()
    return cases


def all_cases(backend: Backend) -> dict[str, Case]:
    kernels = TORCH if backend == "torch" else load_numba()
    return encoding_cases(backend) | ray_cases(kernels) | render_cases(backend)


def show(results: dict[str, dict[str, Timing]], threads: int) -> None:
    table = Table(title=f"Milliseconds, least (median), {threads} threads")
    for column in ("kernel", "torch", "numba", "ratio of medians"):
        table.add_column(column, justify="left" if column == "kernel" else "right")
    for name, timing in results.items():
        cells = [f"{least:.1f} ({median:.1f})" for least, median in timing.values()]
        table.add_row(name, *cells, f"{timing['torch'][1] / timing['numba'][1]:.1f}x")
    Console(width=120).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=numba.config.NUMBA_NUM_THREADS)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    numba.set_num_threads(options.threads)
    reference, twins = all_cases("torch"), all_cases("numba")
    results = {
        name: {"torch": measure(reference[name], options.repeats), "numba": measure(twins[name], options.repeats)}
        for name in reference
    }
    show(results, options.threads)
    if options.out:
        rows = {
            name: {k: {"least": t[0], "median": t[1]} for k, t in timing.items()} for name, timing in results.items()
        }
        options.out.write_text(json.dumps({"threads": options.threads, "milliseconds": rows}, indent=2))


if __name__ == "__main__":
    main()
