"""How a run is going: a bar on a terminal, a line now and then elsewhere, and one row per step in metrics.csv."""

from __future__ import annotations

import csv
import logging
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from pytorch_lightning import Callback, LightningModule, Trainer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from torch import Tensor

from data.ranges import PositiveFloat, PositiveInt
from data.whole_file import flush, whole
from systems.command import stopwatch
from systems.dataloader import ends_step

log = logging.getLogger(__name__)


class MetricsTable:
    """A CSV file that grows by rows; a row with a new column rewrites it."""

    def __init__(self, path: Path, before: int) -> None:
        """Keeps the rows of steps < `before`, which a resumed run will not repeat."""
        self.path = path
        rows = _whole_rows(path) if path.exists() else []
        self.rows: list[dict[str, str]] = [row for row in rows if int(row["step"]) < before]
        self.columns = list(self.rows[0]) if self.rows else []
        self._rewrite()

    def append(self, row: dict[str, str]) -> None:
        self.rows.append(row)
        if row.keys() <= set(self.columns):
            csv.DictWriter(self.file, self.columns).writerow(row)
            self.file.flush()
        else:
            self.columns += [name for name in row if name not in self.columns]
            self.file.close()
            self._rewrite()

    def flush(self) -> None:
        """To the disk, before a checkpoint says that these steps are done."""
        flush(self.path)

    def _rewrite(self) -> None:
        with whole(self.path) as draft, draft.open("w", newline="") as file:
            writer = csv.DictWriter(file, self.columns)
            writer.writeheader()
            writer.writerows(self.rows)
        self.file = self.path.open("a", newline="")


def _whole_rows(path: Path) -> list[dict[str, str]]:
    """Without what a machine that lost its power has left of the last ones."""
    lines = [line for line in path.read_text(errors="replace").split("\n")[:-1] if "\0" not in line]
    return [row for row in csv.DictReader(lines) if None not in row.values() and row.get("step", "").isdecimal()]


def countdown() -> Bar:
    """A bar for a terminal, with the time that is left."""
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()]
    columns += [TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn()]
    return Bar(*columns, disable=not sys.stdout.isatty())


class Progress(Callback):
    """Writes down what a training step returns and what Lightning's log holds.

    every_seconds: between the lines of a log. shown: the values on the live line.
    row_every: steps between rows of metrics.csv, each of which waits for a GPU to finish its step.
    send_every: steps between what a logger, such as W&B, gets, beside the last.
    """

    def __init__(
        self,
        every_seconds: PositiveFloat = 10.0,
        shown: Sequence[str] = ("loss",),
        row_every: PositiveInt = 1,
        send_every: PositiveInt = 10,
    ) -> None:
        self.every_seconds, self.row_every, self.send_every = every_seconds, row_every, send_every
        self.shown = shown
        self.seconds_before = 0.0  # spent before a resume
        self.seen: dict[str, Tensor] = {}  # the values as last logged
        self.of_step: list[str] = []  # what the step in progress has logged
        self.waiting: list[str] = []  # what callbacks have logged since the last row

    @property
    def seconds(self) -> float:
        return self.seconds_before + stopwatch.seconds()

    def state_dict(self) -> dict[str, float]:
        """Of a checkpoint, which must not be on the disk before the rows of its steps."""
        if hasattr(self, "table"):
            self.table.flush()
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        self.seconds_before = state_dict["seconds"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        self.first_step, self.first_time, self.last_line = trainer.global_step + 1, 0.0, 0.0
        self.table = MetricsTable(Path(trainer.default_root_dir) / "metrics.csv", trainer.global_step)
        self.bar = countdown()
        self.task = self.bar.add_task("", total=trainer.max_steps, completed=trainer.global_step)
        self.bar.start()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int) -> None:
        self.waiting += self._logged_now(trainer)
        self.of_step = []

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        self.of_step += self._logged_now(trainer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        step = trainer.global_step
        self.waiting += self._logged_now(trainer)
        if not trainer.is_global_zero or not ends_step(trainer, batch_idx):
            return
        is_last = step == trainer.max_steps
        has_row = is_last or step % self.row_every == 0 or step == self.first_step
        is_sent = bool(trainer.loggers) and (is_last or step % self.send_every == 0)
        if not has_row and not is_sent:
            return
        found = outputs if isinstance(outputs, Mapping) else {}
        values = {name: float(value) for name, value in trainer.callback_metrics.items()}
        returned = {name: float(value) for name, value in found.items() if name not in values}
        values |= returned
        if is_sent:
            lightning = (
                {name: values[name] for name in self.of_step} if is_last else {}
            )  # it sends at its own multiples
            for logger in trainer.loggers:
                logger.log_metrics(returned | lightning, step - 1)
        if has_row:
            logged, self.waiting = dict.fromkeys([*returned, *self.of_step, *self.waiting]), []
            self._tell(trainer, {name: values[name] for name in logged}, values)

    def _tell(self, trainer: Trainer, row: Mapping[str, float], values: Mapping[str, float]) -> None:
        """In metrics.csv, on the bar, and now and then in the log."""
        step = trainer.global_step
        start = {"step": str(step - 1), "seconds": f"{self.seconds:.2f}"}
        self.table.append(start | {name: f"{value:.6g}" for name, value in row.items()})
        line = "  ".join(f"{name} {values[name]:.3g}" for name in self.shown if name in values)
        if rate := self._rate(step):
            line += f"  {rate:.1f} it/s"
        self.bar.update(self.task, completed=step, description=line)
        if time.monotonic() - self.last_line >= self.every_seconds or step == trainer.max_steps:
            self.last_line = time.monotonic()
            left = f"  {(trainer.max_steps - step) / rate:.0f} s left" if rate else ""
            level = logging.INFO if self.bar.disable else logging.DEBUG
            log.log(level, "step %d/%d  %s%s", step, trainer.max_steps, line, left)

    def _logged_now(self, trainer: Trainer) -> list[str]:
        """Lightning also repeats what earlier steps logged; a new value is a new tensor."""
        logged = dict(trainer.callback_metrics)
        new = [n for n, value in logged.items() if n not in self.seen or value.data_ptr() != self.seen[n].data_ptr()]
        self.seen = logged
        return new

    def _rate(self, step: int) -> float | None:
        """Steps per second, without the first, which may compile kernels; None until it can be known."""
        if step == self.first_step:
            self.first_time = time.monotonic()
            return None
        return (step - self.first_step) / (time.monotonic() - self.first_time)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._close()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._close()

    def _close(self) -> None:
        if hasattr(self, "bar"):
            self.bar.stop()
            self.table.file.close()
