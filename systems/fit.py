"""The job of optimising one system: a trainer, and where it starts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pytorch_lightning import LightningModule, Trainer

from systems.run_folder import RunFolder


class Fit:
    """`trainer` lacks only the folder that it writes to."""

    def __init__(self, system: LightningModule, trainer: Callable[..., Trainer]) -> None:
        self.system = system
        self.trainer = trainer

    def run(self, folder: RunFolder, checkpoint: Path | None) -> None:
        trainer = self.trainer(default_root_dir=folder.path)
        trainer.fit(self.system, ckpt_path=checkpoint, weights_only=True)
