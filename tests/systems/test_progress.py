"""What metrics.csv says of steps that get no row."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import Logger
from torch import Tensor
from torch.utils.data import DataLoader

from systems.dataloader import steps_loader
from systems.reports.progress import MetricsTable, Progress


class TwoKinds(pl.LightningModule):
    """Of every four steps the last logs `b`, the others `a`; the values are the numbers of the steps."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        self.log("b" if self.global_step % 4 == 3 else "a", float(self.global_step))
        return self.weight

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def train_dataloader(self) -> DataLoader:
        return steps_loader(12)


class Seldom(pl.Callback):
    """Logs after the second step."""

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        if trainer.global_step == 2:
            pl_module.log("seldom", 1.0)


@pytest.mark.parametrize("order", [1, -1])
def test_a_row_has_the_losses_of_its_step_alone_and_what_callbacks_said_since_the_last(
    order: int, tmp_path: Path
) -> None:
    trainer = pl.Trainer(
        max_steps=8, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path, callbacks=[Progress(row_every=4), Seldom()][::order],
    )  # fmt: skip
    trainer.fit(TwoKinds())
    with (tmp_path / "metrics.csv").open() as table:
        rows = [
            {name: float(x) for name, x in row.items() if x and name not in ("seconds", "loss")}
            for row in csv.DictReader(table)
        ]
    assert rows == [{"step": 0, "a": 0}, {"step": 3, "b": 3, "seldom": 1}, {"step": 7, "b": 7}]


class Sent(Logger):
    """What a logger gets; as W&B, it puts together what comes at one step."""

    name = version = "sent"

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[int, dict[str, float]] = {}

    def log_hyperparams(self, params: object) -> None:
        pass

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        values = {name: value for name, value in metrics.items() if name in ("a", "b", "c")}
        if values and step is not None:
            self.found.setdefault(step, {}).update(values)


class Returns(TwoKinds):
    """Also returns `c`, which Lightning does not log."""

    def training_step(self, batch: list[Tensor], batch_idx: int) -> dict[str, Tensor]:
        return {"loss": super().training_step(batch, batch_idx), "c": torch.tensor(float(self.global_step))}


def test_a_logger_gets_its_steps_whatever_the_table_has_and_the_end_of_every_curve(tmp_path: Path) -> None:
    sent = Sent()
    pl.Trainer(
        max_steps=7, accelerator="cpu", logger=sent, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path, callbacks=[Progress(row_every=5, send_every=2)],
        log_every_n_steps=4,
    ).fit(Returns())  # fmt: skip
    assert {step: values["c"] for step, values in sent.found.items()} == {1: 1, 3: 3, 5: 5, 6: 6}
    assert sent.found[3]["b"] == 3 and "a" not in sent.found[5] and sent.found[6] == {"c": 6, "a": 6}
    assert [row["step"] for row in csv.DictReader((tmp_path / "metrics.csv").open())] == ["0", "4", "6"]


@pytest.mark.parametrize("torn", ["\0\0\0\0", "2,0.3", "2,0.30,0.12", "2,0.30,0.1\n\0\0\n", "\udcff\n", ""])
def test_what_lost_power_has_left_of_the_last_rows_is_dropped(torn: str, tmp_path: Path) -> None:
    file = tmp_path / "metrics.csv"
    file.write_bytes(b"step,seconds,loss\r\n0,0.10,0.5\r\n1,0.20,0.25\r\n" + torn.encode(errors="surrogateescape"))
    table = MetricsTable(file, 9)
    table.append({"step": "9", "seconds": "1.00", "loss": "0.1"})
    table.file.close()
    assert [row["step"] for row in csv.DictReader(file.open())] == ["0", "1", *["2"] * torn.count("0.1\n"), "9"]
