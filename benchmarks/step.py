"""Where the time of a distillation step goes: python -m benchmarks.step [--threads 2] [--out FILE] [override ...]

Trains the default run for some steps, timing its parts inside the real step, early (32 x 32) and late (64 x 64); with
the numba kernels and, for fewer steps, with their torch definitions.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numba
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from rich.console import Console
from rich.table import Table

from data.errors import UserError
from guidance.prior_folder import find_prior
from systems.torchvision_shim import define_missing_ops

define_missing_ops()  # before Lightning, which imports torchvision

from pytorch_lightning import Callback, Trainer  # noqa: E402

from systems.text_to_3d import TextTo3D  # noqa: E402

CONF = Path(__file__).resolve().parents[1] / "conf"
PARTS = ("render", "encode", "UNet", "backward", "optimiser")
WARMUP = 3  # steps at the beginning of a phase
SHARE = {"numba": 1.0, "torch": 0.05}  # of the steps: torch takes so long that fewer are enough
Times = dict[str, list[float]]
Results = dict[str, dict[str, float]]  # phase -> part -> milliseconds


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
        config = compose("config", ["prompt=a red dog wearing a blue hat", "device=cpu", *overrides])
    find_prior(config.prior.path)
    return instantiate(config.system, _convert_="all")


def watch(system: TextTo3D, times: Times) -> None:
    prior = system.guidance.prior
    prior.encode = timed("encode", times, prior.encode)
    prior.predict_noise = timed("UNet", times, prior.predict_noise)
    system.renderer.forward = timed("render", times, system.renderer.forward)


class Clock(Callback):
    """Sorts the times of the parts and of the whole step by phase; the first steps of a phase warm up."""

    def __init__(self, watched: Times, half: int) -> None:
        self.watched, self.half = watched, half
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
        if step % self.half >= WARMUP:
            phase = list(self.phases.values())[step // self.half]
            for name, values in self.watched.items():
                phase[name].append(sum(values))


def summary(times: Times) -> dict[str, float]:
    """Median milliseconds of each part, and the step over its UNet and encoder forward."""
    table = {name: 1e3 * statistics.median(times[name]) for name in (*PARTS, "step")}
    table["step / (UNet + encode)"] = table["step"] / (table["UNet"] + table["encode"])
    table["share of the UNet"] = table["UNet"] / table["step"]
    return table


def measure(backend: str, steps: int, overrides: list[str]) -> Results:
    """Trains for `steps` timed steps in each phase."""
    half = WARMUP + steps
    system = build([f"trainer.max_steps={2 * half}", f"renderer.backend={backend}", *overrides])
    watched: Times = defaultdict(list)
    watch(system, watched)
    clock = Clock(watched, half)
    trainer = Trainer(
        max_steps=2 * half, accelerator="cpu", callbacks=[clock], logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(system)
    return {phase: summary(part) for phase, part in clock.phases.items()}


def show(results: dict[str, Results], title: str) -> None:
    columns = {f"{backend}, {phase}": part for backend, by in results.items() for phase, part in by.items()}
    table = Table("", *columns, title=title)
    for name in next(iter(columns.values())):
        table.add_row(name, *[f"{part[name]:.2f}" for part in columns.values()])
    Console().print(table)
    for phase in results["numba"]:
        ratio = results["torch"][phase]["step"] / results["numba"][phase]["step"]
        print(f"{phase}: a step with torch's kernels takes {ratio:.1f} times as long as with numba's")


def positive(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError("must be above 0")
    return int(text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=positive, default=2)
    parser.add_argument("--steps", type=positive, default=290, help="timed, in each of the two phases")
    parser.add_argument("--out", type=Path)
    parser.add_argument("overrides", nargs="*")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    numba.set_num_threads(min(args.threads, numba.config.NUMBA_NUM_THREADS))
    steps = {backend: max(1, round(share * args.steps)) for backend, share in SHARE.items()}
    try:
        results = {backend: measure(backend, n, args.overrides) for backend, n in steps.items()}
    except UserError as error:
        print(f"benchmarks.step: {error}", file=sys.stderr)
        return 2
    show(results, f"milliseconds, median of {steps['numba']} and {steps['torch']} steps, {args.threads} threads")
    if args.out:
        args.out.write_text(json.dumps(results, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
