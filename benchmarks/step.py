"""Where the time of a distillation step goes: python -m benchmarks.step [--threads 2] [--out FILE] [override ...]

Trains the default run for some steps, timing its parts inside the real step, early (32 x 32) and late (64 x 64).
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from rich.console import Console
from rich.table import Table

from systems.torchvision_shim import define_missing_ops

define_missing_ops()  # before Lightning, which imports torchvision

from pytorch_lightning import Callback, Trainer  # noqa: E402

from systems.text_to_3d import TextTo3D  # noqa: E402

CONF = Path(__file__).resolve().parents[1] / "conf"
PARTS = ("render", "encode", "UNet", "backward", "optimiser")
Times = dict[str, list[float]]


def timed(name: str, times: Times, function: Callable) -> Callable:
    """`function`, its seconds added to `times[name]`."""

    def wrapper(*args, **kwargs):
        start = time.perf_counter()
        result = function(*args, **kwargs)
        times[name].append(time.perf_counter() - start)
        return result

    return wrapper


def build(overrides: list[str]) -> TextTo3D:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", ["prompt=a red dog wearing a blue hat", *overrides])
    return instantiate(config.system, _convert_="all")


def watch(system: TextTo3D, times: Times) -> None:
    prior = system.guidance.prior
    prior.encode = timed("encode", times, prior.encode)
    prior.predict_noise = timed("UNet", times, prior.predict_noise)
    system.renderer.forward = timed("render", times, system.renderer.forward)


class Clock(Callback):
    """Sorts the times of the parts and of the whole step by phase; the first steps of a phase warm up."""

    def __init__(self, watched: Times, half: int, warmup: int = 10) -> None:
        self.watched, self.half, self.warmup = watched, half, warmup
        self.phases: dict[str, Times] = {"early, 32 x 32": defaultdict(list), "late, 64 x 64": defaultdict(list)}

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        self.watched.clear()
        self.begin = time.perf_counter()

    def on_before_backward(self, trainer, pl_module, loss) -> None:
        self.before = time.perf_counter()

    def on_after_backward(self, trainer, pl_module) -> None:
        self.after = time.perf_counter()
        self.watched["backward"].append(self.after - self.before)

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        end = time.perf_counter()
        self.watched["optimiser"].append(end - self.after)
        self.watched["step"].append(end - self.begin)
        step = trainer.global_step - 1
        if step % self.half >= self.warmup:
            phase = list(self.phases.values())[step // self.half]
            for name, values in self.watched.items():
                phase[name].append(sum(values))


def summary(times: Times) -> dict[str, float]:
    """Median milliseconds of each part, and the step over its UNet and encoder forward."""
    table = {name: 1e3 * statistics.median(times[name]) for name in (*PARTS, "step")}
    table["step / (UNet + encode)"] = table["step"] / (table["UNet"] + table["encode"])
    table["share of the UNet"] = table["UNet"] / table["step"]
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=600, help="of the whole run")
    parser.add_argument("--out", type=Path)
    parser.add_argument("overrides", nargs="*")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    system = build([f"trainer.max_steps={args.steps}", *args.overrides])
    watched: Times = defaultdict(list)
    watch(system, watched)
    clock = Clock(watched, half=args.steps // 2)
    trainer = Trainer(
        max_steps=args.steps, accelerator="cpu", callbacks=[clock], logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(system)
    results = {phase: summary(part) for phase, part in clock.phases.items()}
    table = Table("", *results, title=f"milliseconds, median of {args.steps // 2 - 10} steps, {args.threads} threads")
    for name in next(iter(results.values())):
        table.add_row(name, *[f"{result[name]:.2f}" for result in results.values()])
    Console().print(table)
    if args.out:
        args.out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
