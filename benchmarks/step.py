"""Where the time of a distillation step goes: python -m benchmarks.step [--threads 2] [--out FILE] [override ...]

Makes the default run, whole, without its pictures and checkpoints, and times the parts inside its real steps: so the
late steps see a late field. Overrides are those of launch.py, e.g. quality=draft or renderer.backend=torch.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
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

from pytorch_lightning import Callback  # noqa: E402

from systems.text_to_3d import TextTo3D  # noqa: E402

CONF = Path(__file__).resolve().parents[1] / "conf"
INSIDE_GUIDANCE = ("encode", "UNet", "decode")
PARTS = (
    "cameras", "occupancy", "render", *INSIDE_GUIDANCE, "guidance, the rest", "losses", "backward", "optimiser",
    "Lightning and the log",
)  # fmt: skip
WARMUP = 16  # steps: the first ones load compiled kernels
PERIOD = 16  # steps from one update of the occupancy grid to the next
RATIO, TARGET = "step / (UNet + encode)", 1.8


class Clock(Callback):
    """Seconds of each part in each step. The whole step lasts from one batch to the next, so nothing is left out."""

    def __init__(self, system: TextTo3D) -> None:
        self.now: Counter[str] = Counter()
        self.steps: list[Counter[str]] = []
        self.sizes: list[int] = []
        prior, guidance = system.guidance.prior, type(system.guidance)
        self._watch("cameras", system.sampler, "draw")
        self._watch("occupancy", system.renderer, "update")
        self._watch("render", system.renderer, "forward")
        self._watch("encode", prior, "encode")
        self._watch("UNet", prior, "predict_noise")
        self._watch("decode", prior, "decode")
        self._watch("guidance", guidance, "__call__")
        for kind in {type(loss) for loss in system.losses.values()}:
            self._watch("losses", kind, "__call__")

    def _watch(self, part: str, owner: object, name: str) -> None:
        function: Callable = getattr(owner, name)

        def timed(*args, **kwargs):
            start = time.perf_counter()
            result = function(*args, **kwargs)
            self.now[part] += time.perf_counter() - start
            return result

        setattr(owner, name, timed)

    def on_train_start(self, trainer, pl_module) -> None:
        trainer.optimizers[0].register_step_post_hook(self._after_optimiser)

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        if trainer.global_step > 0:
            self._close()
        self.begin = time.perf_counter()

    def on_before_backward(self, trainer, pl_module, loss) -> None:
        self.sizes.append(pl_module.sampler.size)
        self.backward_begin = time.perf_counter()

    def on_after_backward(self, trainer, pl_module) -> None:
        self.backward_end = time.perf_counter()
        self.now["backward"] += self.backward_end - self.backward_begin

    def _after_optimiser(self, optimizer, args, kwargs) -> None:
        """Its step calls back for the gradients; what follows them is its own."""
        self.now["optimiser"] += time.perf_counter() - self.backward_end

    def on_train_end(self, trainer, pl_module) -> None:
        self._close()

    def _close(self) -> None:
        now, self.now = self.now, Counter()
        now["step"] = time.perf_counter() - self.begin
        now["guidance, the rest"] = now.pop("guidance") - sum(now[part] for part in INSIDE_GUIDANCE)
        now["Lightning and the log"] = now["step"] - sum(now[part] for part in PARTS[:-1])
        self.steps.append(now)


def summary(steps: list[Counter[str]]) -> dict[str, float]:
    """Milliseconds of each part, and the ratio. Median over periods of the occupancy grid of the mean step in each: so
    what happens once a period counts its share, and another process on the machine counts little."""
    periods = [steps[i : i + PERIOD] for i in range(0, len(steps), PERIOD)]
    table = {
        part: 1e3 * statistics.median(statistics.fmean(step[part] for step in period) for period in periods)
        for part in (*PARTS, "step")
    }
    table[RATIO] = table["step"] / (table["UNet"] + table["encode"])
    return table


def measure(overrides: list[str]) -> dict[str, dict[str, float]]:
    """Phase -> part -> milliseconds. A phase is what renders at one size."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", ["prompt=a red dog wearing a blue hat", "device=cpu", *overrides])
    find_prior(config.prior.path)
    system = instantiate(config.system, _convert_="all")
    clock = Clock(system)
    config.trainer.callbacks = [config.progress]  # metrics.csv is part of every step
    with tempfile.TemporaryDirectory() as folder:
        trainer = instantiate(config.trainer, _convert_="all")(default_root_dir=folder, accelerator="cpu")
        trainer.callbacks.append(clock)
        trainer.fit(system)
    steps, sizes = clock.steps[WARMUP:], clock.sizes[WARMUP:]
    phases = {f"{n} x {n}": [step for step, size in zip(steps, sizes, strict=True) if size == n] for n in set(sizes)}
    return {name: summary(part) for name, part in [*sorted(phases.items()), ("whole run", steps)]}


def show(results: dict[str, dict[str, float]], title: str) -> None:
    table = Table("", title=title)
    for phase in results:
        table.add_column(phase, justify="right")
    for part in next(iter(results.values())):
        if part == "step":
            table.add_section()
        table.add_row(part, *[f"{phase[part]:.2f}" for phase in results.values()])
    Console().print(table)


def positive(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError("must be above 0")
    return int(text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=positive, default=2)
    parser.add_argument("--out", type=Path)
    parser.add_argument("overrides", nargs="*")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    numba.set_num_threads(min(args.threads, numba.config.NUMBA_NUM_THREADS))
    try:
        results = measure(args.overrides)
    except UserError as error:
        print(f"benchmarks.step: {error}", file=sys.stderr)
        return 2
    show(results, f"milliseconds of a step, {args.threads} threads")
    ratio = results["whole run"][RATIO]
    print(f"A step takes {ratio:.2f} times its UNet and encoder forward; the target is {TARGET} at most.")
    if args.out:
        args.out.write_text(json.dumps(results, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
