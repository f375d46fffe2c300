"""How fast a prior is trained, while it is; and metrics.json, when it is."""

from __future__ import annotations

import csv
import time
from pathlib import Path

from pytorch_lightning import Callback, LightningModule, Trainer

from data.ranges import PositiveInt
from systems.dataloader import ends_step
from systems.reports.progress import Progress
from systems.reports.provenance import provenance, write_whole
from systems.training.train_prior import TrainPrior


class TrainingReport(Callback):
    """every: steps over which `images_per_second` is taken for metrics.csv. That of metrics.json leaves out the first
    step, which may compile; seconds are those of all processes that have continued the run, one after the other.
    """

    def __init__(self, every: PositiveInt = 20) -> None:
        self.every = every
        self.marks: list[tuple[int, float]] = []  # steps done, and when: the first of this process, and the last two

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        step = trainer.global_step
        if not ends_step(trainer, batch_idx) or (self.marks and step % self.every and step != trainer.max_steps):
            return
        self.marks = [*self.marks[:1], *self.marks[-1:], (step, time.monotonic())]
        if len(self.marks) > 1:
            pl_module.log("images_per_second", self._rate(pl_module, self.marks[-2]), rank_zero_only=True)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """After the weights are saved; metrics.json says that the run is finished."""
        if not trainer.is_global_zero:
            return
        assert isinstance(pl_module, TrainPrior)
        folder = Path(trainer.default_root_dir)
        speed = {"images_per_second": self._rate(pl_module, self.marks[0])} if len(self.marks) > 1 else {}
        shared = {"batch_size": pl_module.batch_size, "processes": trainer.world_size}
        took = provenance(trainer.strategy.root_device) | {"seconds": round(_seconds(trainer), 1)}
        losses = _last_values(folder / "metrics.csv")
        write_whole(folder / "metrics.json", {"steps": trainer.global_step, **shared, **losses, **speed, **took})

    def _rate(self, system: LightningModule, since: tuple[int, float]) -> float:
        assert isinstance(system, TrainPrior)
        (step, then), (last, now) = since, self.marks[-1]
        return (last - step) * system.batch_size / max(now - then, 1e-9)


def _seconds(trainer: Trainer) -> float:
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # Lightning sets it elsewhere
    return next(callback for callback in callbacks if isinstance(callback, Progress)).seconds


def _last_values(table: Path) -> dict[str, float]:
    """Of each column the last that there is."""
    values: dict[str, float] = {}
    with table.open() as file:
        for row in csv.DictReader(file):
            values |= {name: float(value) for name, value in row.items() if value}
    return {name: value for name, value in values.items() if name not in ("step", "seconds")}
