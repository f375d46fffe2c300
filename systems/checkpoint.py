"""A run can be stopped at any time, politely or not, and goes on as if it had not been."""

from __future__ import annotations

import logging
import os
import signal
import time
from pathlib import Path
from types import FrameType

from pytorch_lightning import Callback, LightningModule, Trainer

from data.ranges import PositiveFloat
from systems.command.run_folder import interrupted
from systems.dataloader import ends_step

log = logging.getLogger(__name__)
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Checkpoint(Callback):
    """Saves every so many seconds, at the end, and when asked to stop; then the step in progress is finished first."""

    def __init__(self, every_seconds: PositiveFloat = 30.0) -> None:
        self.every_seconds = every_seconds
        self.asked_to_stop = False
        self.between_steps = False  # after training there is no step to wait for

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self.folder = Path(trainer.default_root_dir)
        self._listen()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listens again: Lightning has put a handler before ours that waits for other processes, in midst of a step."""
        self.last_save = time.monotonic()
        self._listen()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        if not ends_step(trainer, batch_idx):
            return
        any_process = lambda wants: trainer.strategy.reduce_boolean_decision(wants, all=False)
        is_due = time.monotonic() - self.last_save >= self.every_seconds
        if not any_process(self.asked_to_stop or is_due):
            return
        self._save(trainer)
        if any_process(self.asked_to_stop):
            raise interrupted(
                self.folder, f"Interrupted and saved after step {trainer.global_step} of {trainer.max_steps}."
            )

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._save(trainer)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.between_steps = True

    def _save(self, trainer: Trainer) -> None:
        """Whole or not at all: written beside, then renamed. All processes of a run come here."""
        final = self.folder / "checkpoints" / "last.ckpt"
        draft = final.with_suffix(".draft")
        trainer.save_checkpoint(draft)
        if trainer.is_global_zero:
            os.replace(draft, final)
        self.last_save = time.monotonic()

    def _listen(self) -> None:
        for number in SIGNALS:
            signal.signal(number, self._stop)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self.asked_to_stop or self.between_steps:
            raise interrupted(self.folder, "Interrupted at once.")
        self.asked_to_stop = True
        log.info("Stopping after this step; once more to stop at once.")
