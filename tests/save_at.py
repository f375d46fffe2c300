"""For tests of resuming."""

from pathlib import Path

from pytorch_lightning import Callback, LightningModule, Trainer


class SaveAt(Callback):
    """Writes a checkpoint as ours does: a callback, after a step."""

    def __init__(self, step: int, path: Path) -> None:
        self.step, self.path = step, path

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        if trainer.global_step == self.step:
            trainer.save_checkpoint(self.path)
