"""Normals of fitted fields against the true ones of toys: python -m benchmarks.normals [--toys 3] [--out FILE]

Fits a field to each toy: at random points its opacity, over 1/36 of the scene, to whether the toy is there, softened by
a Gaussian. Then compares its normals with the toy's where rays meet the toy.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from rich.console import Console
from rich.table import Table
from torch import Tensor

from data.samplers import turntable
from data.toybox.grammar import build
from data.toybox.parts import BOX, ELLIPSOID, Part
from data.toybox.raycast import visible_surface
from data.toybox.split import HELD_OUT
from metrics.toybox_truth import toy_of
from models.frequencies import Frequencies
from models.geometry import DensityField, ImplicitVolume
from models.hashgrid import HashGrid
from models.normals import Analytic, FiniteDifferences, Normals
from models.sdf_volume import Laplace, SDFVolume

FIELDS: dict[str, Callable[[], ImplicitVolume | SDFVolume]] = {
    "hash grid": lambda: ImplicitVolume(HashGrid()),
    "nerf": lambda: ImplicitVolume(Frequencies(), hidden=64, n_hidden=3),
    "sdf": lambda: SDFVolume(HashGrid(), Laplace(0.01)),
}
NORMALS: dict[str, Normals] = {
    "analytic": Analytic(),
    "differences of 0.01": FiniteDifferences(0.01),
    "differences of 0.02": FiniteDifferences(0.02),
}
RADIUS, STEP, SOFTNESS = 0.6, 1.2 / 36, 0.01


@dataclass(frozen=True)
class Row:
    mean: float  # degrees
    median: float
    forward: float  # milliseconds per 100,000 points, with density and features
    both: float  # with the backward


def inside(parts: Sequence[Part], x: Float[Tensor, "n 3"]) -> Bool[Tensor, "n"]:
    """Whether points are in any of the solids: see data/toybox/parts.py."""
    found = torch.zeros(len(x), dtype=torch.bool)
    for part in parts:
        local = (x - torch.as_tensor(part.center).float()) @ torch.as_tensor(np.linalg.inv(part.matrix)).float().T
        if part.shape == ELLIPSOID:
            found |= local.norm(dim=1) <= 1
        elif part.shape == BOX:
            found |= local.abs().amax(dim=1) <= 1
        else:
            reach = (1 + part.taper) / 2 + (part.taper - 1) / 2 * local[:, 2]
            found |= (local[:, 2].abs() <= 1) & (local[:, :2].norm(dim=1) <= reach)
    return found


def fit(field: DensityField, parts: Sequence[Part], surface: Float[Tensor, "n 3"], steps: int) -> None:
    rng = torch.Generator().manual_seed(0)
    assert isinstance(field, torch.nn.Module)
    optimiser = torch.optim.Adam(field.parameters(), lr=0.01, betas=(0.9, 0.99), eps=1e-15)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        anywhere = (torch.rand(2**13, 3, generator=rng) * 2 - 1) * RADIUS
        near = surface[torch.randint(len(surface), (2**13,), generator=rng)]
        x = torch.cat([anywhere, near + 0.05 * torch.randn(near.shape, generator=rng)]).clamp(-RADIUS, RADIUS)
        there = inside(parts, x + SOFTNESS * torch.randn(x.shape, generator=rng)).float()
        error = (-torch.expm1(-field(x).density * STEP) - there).square().mean()
        optimiser.zero_grad()
        error.backward()
        optimiser.step()
        schedule.step()


def angles(field: DensityField, points: Float[Tensor, "n 3"], truth: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
    with torch.no_grad():
        normal = field(points, with_normal=True).normal
    assert normal is not None
    return torch.rad2deg(torch.acos((normal * truth).sum(dim=1).clamp(-1, 1)))


def milliseconds(run: Callable[[], object], repeats: int = 5) -> float:
    """The least of several, after one that compiles."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - start))
    return min(times)


def cost(field: DensityField) -> tuple[float, float]:
    points = (torch.rand(100_000, 3, generator=torch.Generator().manual_seed(0)) * 2 - 1) * RADIUS

    @torch.no_grad()
    def forward() -> None:
        field(points, with_normal=True)

    def both() -> None:
        sample = field(points, with_normal=True)
        assert sample.normal is not None
        (sample.density.sum() + sample.features.sum() + sample.normal.sum()).backward()

    return milliseconds(forward), milliseconds(both)


def measure(n_toys: int, steps: int) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for field_name, make in FIELDS.items():
        found: dict[str, list[Tensor]] = {name: [] for name in NORMALS}
        for prompt in HELD_OUT[:n_toys]:
            toy = toy_of(prompt)
            assert toy is not None
            points, truth = visible_surface(build(toy), turntable(12, 64))
            field = make()
            fit(field, build(toy), points, steps)
            for name, normals in NORMALS.items():
                field.normals = normals
                found[name].append(angles(field, points, truth))
        for name, normals in NORMALS.items():
            field.normals = normals
            errors = torch.cat(found[name])
            rows[f"{field_name}, {name}"] = Row(errors.mean().item(), errors.median().item(), *cost(field))
    return rows


def show(rows: dict[str, Row], title: str) -> None:
    table = Table("", title=title)
    for column in ("mean angle", "median", "ms forward", "ms with backward"):
        table.add_column(column, justify="right")
    for name, row in rows.items():
        table.add_row(name, f"{row.mean:.1f}°", f"{row.median:.1f}°", f"{row.forward:.0f}", f"{row.both:.0f}")
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--toys", type=int, default=3, help="how many of the held-out prompts")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    rows = measure(args.toys, args.steps)
    show(rows, f"{args.toys} toys, 100,000 points, {torch.get_num_threads()} threads")
    if args.out:
        args.out.write_text(json.dumps({name: vars(row) for name, row in rows.items()}, indent=2) + "\n")


if __name__ == "__main__":
    main()
