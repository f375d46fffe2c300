"""Renderers without a prior: a toy from 40 true pictures, and how long that takes: python -m benchmarks.fitting

Per renderer: PSNR over 8 views that lie between the 40, silhouette IoU, and the seconds of optimisation until the PSNR
reached 25, 28 and 30 dB. Writes fitting.json and fitting.png (the truth, then a row per renderer).
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from jaxtyping import Float
from rich.console import Console
from rich.table import Table
from torch import Tensor

from data.cameras import Cameras, look_at_origin
from data.samplers import turntable
from metrics.ground_truth import GroundTruthScore, compare
from metrics.toybox_truth import toy_of, true_views
from models.scene import Scene
from renderers.output import Renderer
from systems.command.trees import flatten
from systems.learning_rate import parameter_groups
from systems.losses import Loss
from systems.rng import step_generator
from systems.torchvision_shim import define_missing_ops

define_missing_ops()  # before Lightning, which imports torchvision

from systems.reports.pictures import to_bytes, write_row  # noqa: E402

CONF = Path(__file__).resolve().parents[1] / "conf"
N_IMAGES, SIZE, BATCH = 40, 96, 2
MILESTONES = (25.0, 28.0, 30.0)  # dB
PACE = {"hashgrid": 5.0, "sdf": 5.0, "nerf": 2.0, "dmtet": 5.0}  # times a text-to-3D run's learning rates: true
# pictures pull the same way at every step
SHAPE = 1e-5  # of the regularisers' weights, which suit a text-to-3D run: its guidance is a sum over pixels, not a mean


@dataclass(frozen=True)
class Task:
    """What is to be learned, and what it is examined on."""

    cameras: Cameras
    rgb: Float[Tensor, "b h w 3"]
    opacity: Float[Tensor, "b h w 1"]
    exam: Cameras
    exam_rgb: Float[Tensor, "e h w 3"]
    exam_opacity: Float[Tensor, "e h w 1"]


@dataclass
class Result:
    reached: dict[float, float] = field(default_factory=dict)  # seconds, by dB
    curve: list[tuple[float, float]] = field(default_factory=list)  # seconds, dB
    score: GroundTruthScore = field(default_factory=lambda: GroundTruthScore(0.0, 0.0))
    views: Float[Tensor, "e h w 3"] = field(default_factory=lambda: torch.empty(0))


class Optimised:
    """A scene as one renderer's configuration describes it, and the means to improve it."""

    def __init__(self, renderer: str, prompt: str, steps: int, overrides: list[str]) -> None:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            words = [f"renderer={renderer}", "background=solid", f'prompt="{prompt}"', *overrides]
            system = compose("config", words).system
        self.scene: Scene = instantiate(system.scene, _convert_="all")
        self.renderer: Renderer = instantiate(system.renderer, _convert_="all")
        self.losses: Mapping[str, Loss] = instantiate(system.losses, _convert_="all")
        rates = {name: PACE[renderer] * rate for name, rate in flatten(instantiate(system.learning_rates)).items()}
        groups = parameter_groups(self.scene.named_parameters(), rates)
        self.optimizer = torch.optim.Adam(groups, betas=(0.9, 0.99), eps=1e-15)
        self.decay = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda step: 0.1 ** (step / steps))

    def improve(self, task: Task, step: int) -> None:
        """On a few of the pictures: squared errors of colour and of coverage, and the renderer's regularisers."""
        rng = step_generator(0, step)
        self.renderer.update(step, self.scene, rng)
        chosen = torch.randperm(len(task.cameras), generator=rng)[:BATCH]
        seen = self.renderer(self.scene, task.cameras[chosen], rng)
        error = (seen.rgb - task.rgb[chosen]).square().mean() + (seen.opacity - task.opacity[chosen]).square().mean()
        for name, loss in self.losses.items():
            if loss.weight and name in ("normal_consistency", "laplacian", "eikonal"):
                error = error + SHAPE * loss.weight * loss(self.scene, seen)
        self.optimizer.zero_grad()
        error.backward()
        self.optimizer.step()
        self.decay.step()

    @torch.no_grad()
    def look(self, cameras: Cameras) -> tuple[Float[Tensor, "b h w 3"], Float[Tensor, "b h w 1"]]:
        views = [self.renderer(self.scene, cameras[i : i + 1]) for i in range(len(cameras))]
        return torch.cat([view.rgb for view in views]), torch.cat([view.opacity for view in views])


def make_task(prompt: str) -> Task:
    """Pictures from a spiral that goes around seven times from below the equator to above; the exam from a circle."""
    toy = toy_of(prompt)
    assert toy is not None, f"{prompt} is about no toy"
    height = torch.linspace(math.sin(math.radians(-20)), math.sin(math.radians(70)), N_IMAGES)
    azimuth, fov = torch.linspace(0, 14 * math.pi, N_IMAGES), torch.full((N_IMAGES,), math.radians(40))
    cameras = look_at_origin(azimuth, torch.asin(height), 0.68 / torch.tan(fov / 2), fov, SIZE, SIZE)
    exam = turntable(8, 128, elevation=15.0, start=11.0)
    return Task(cameras, *true_views(toy, cameras), exam, *true_views(toy, exam))


def fit(renderer: str, task: Task, prompt: str, steps: int, every: int, overrides: list[str]) -> Result:
    """The examination's time does not count."""
    optimised, result, seconds = Optimised(renderer, prompt, steps, overrides), Result(), 0.0
    for step in range(steps):
        start = time.perf_counter()
        optimised.improve(task, step)
        seconds += time.perf_counter() - start
        if (step + 1) % every == 0 or step == steps - 1:
            rgb, opacity = optimised.look(task.exam)
            result.score = compare(rgb, opacity, task.exam_rgb, task.exam_opacity)
            result.views = rgb
            result.curve.append((seconds, result.score.psnr))
            for goal in MILESTONES:
                if result.score.psnr >= goal:
                    result.reached.setdefault(goal, seconds)
    return result


def as_table(results: Mapping[str, Result]) -> Table:
    table = Table("renderer", "PSNR (dB)", "IoU", "seconds", *(f"s to {goal:.0f} dB" for goal in MILESTONES))
    for name, result in results.items():
        score, times = result.score, [result.reached.get(goal) for goal in MILESTONES]
        shown = ["-" if seconds is None else f"{seconds:.1f}" for seconds in times]
        table.add_row(name, f"{score.psnr:.2f}", f"{score.silhouette_iou:.3f}", f"{result.curve[-1][0]:.0f}", *shown)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--renderers", nargs="+", default=["hashgrid", "nerf", "sdf", "dmtet"])
    parser.add_argument("--prompt", default="a red dog wearing a blue hat")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--every", type=int, default=25, help="steps between two examinations")
    parser.add_argument("--out", type=Path, default=Path("outputs/fitting"))
    parser.add_argument("overrides", nargs="*", help="of the configuration, e.g. radius=0.7 (after --)")
    args = parser.parse_args()
    task, results = make_task(args.prompt), {}
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.renderers:
        results[name] = fit(name, task, args.prompt, args.steps, args.every, args.overrides)
        Console().print(as_table({name: results[name]}))
    rows = [task.exam_rgb, *(result.views for result in results.values() if result.views is not None)]
    write_row(args.out / "fitting.png", [to_bytes(torch.cat([row[i] for row in rows])) for i in range(len(task.exam))])
    summary = {
        name: {"psnr": r.score.psnr, "iou": r.score.silhouette_iou, "reached": r.reached, "curve": r.curve}
        for name, r in results.items()
    }
    (args.out / "fitting.json").write_text(json.dumps(summary, indent=2) + "\n")
    Console().print(as_table(results))


if __name__ == "__main__":
    main()
