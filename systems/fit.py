"""The job of optimising one system: a trainer, and where it starts."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pytorch_lightning import Callback, LightningModule, Trainer

from data import torch_file
from data.errors import FailedError, UserError
from guidance.precision import choose_device
from systems.checkpoint import SIGNALS, check_finite
from systems.command.faults import fault
from systems.command.run_folder import Interrupted, RunFolder, interrupted
from systems.likeness import Likeness
from systems.processes import environment
from systems.start import Start
from systems.text_to_3d import TextTo3D

log = logging.getLogger(__name__)


class Fit:
    """`trainer` lacks only the folder that it writes to, and the device, which is the prior's. start: of a text-to-3D
    run that begins, where its scene comes from; likeness: what it then learns from pictures of that.
    """

    def __init__(
        self,
        system: LightningModule,
        trainer: Callable[..., Trainer],
        device: Literal["auto", "cpu", "cuda"] = "auto",
        start: Start | None = None,
        likeness: Likeness | None = None,
    ) -> None:
        self.system = system
        self.start = start
        self.likeness = likeness or Likeness()
        self.trainer = trainer
        self.device = choose_device(device)

    def run(self, folder: RunFolder, checkpoint: Path | None) -> None:
        if checkpoint is not None:
            _check_checkpoint(checkpoint)
        elif self.start is not None and isinstance(self.system, TextTo3D):
            source = self.start(self.system.scene)
            if source is not None:
                self.likeness(self.system, source, self.device)
        trainer = self.trainer(default_root_dir=folder.path, accelerator=self.device.type, plugins=environment())
        handlers = {number: signal.getsignal(number) for number in SIGNALS}
        try:
            self._fit(trainer, folder, checkpoint)
        finally:  # here and not in the callback: Lightning puts handlers back itself, after its callbacks
            for number, handler in handlers.items():
                if handler is not None:  # else it is none of Python's
                    signal.signal(number, handler)

    def _fit(self, trainer: Trainer, folder: RunFolder, checkpoint: Path | None) -> None:
        begun = _Begun()
        trainer.callbacks.insert(0, begun)  # type: ignore[attr-defined]
        try:
            trainer.fit(self.system, ckpt_path=checkpoint, weights_only=True)
        except SystemExit as end:
            if isinstance(end.__context__, KeyboardInterrupt):  # which Lightning turns into this
                raise interrupted(folder.path, "Interrupted at once.") from end.__context__
            raise
        except (UserError, Interrupted):
            raise
        except Exception as error:
            check_finite(trainer, self.system)  # the reason for much else
            if checkpoint is None or begun.yes or isinstance(error, FailedError) or fault(error, folder.path):
                raise
            log.debug("The state of %s cannot be restored:", checkpoint, exc_info=error)
            reason = " ".join(str(error).split())[:300]
            raise UserError(
                f"resume: {checkpoint} is not of this run, or damaged ({reason}); say resume=never, or give the run's"
                " own configuration"
            ) from error


def _check_checkpoint(path: Path) -> None:
    """UserError for a file that holds anything but the state of a training."""
    try:
        saved = torch_file.load(path, mmap=True)
    except ValueError as error:
        raise UserError(f"resume: {path} is a file {error}; give the last.ckpt of a run") from error
    if not isinstance(saved, dict) or not {"state_dict", "loops", "pytorch-lightning_version"} <= saved.keys():
        raise UserError(f"resume: {path} holds no training to continue; give the last.ckpt of a run")


class _Begun(Callback):
    """Whether the state of a checkpoint is restored, so that what fails now is not its fault."""

    yes = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.yes = True

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Also of a training that was complete, which does not start."""
        self.yes = True
