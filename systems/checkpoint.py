"""A run can be stopped at any time, politely or not, and goes on as if it had not been."""

from __future__ import annotations

import errno
import logging
import math
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from data.errors import FailedError
from data.ranges import PositiveFloat
from data.whole_file import flush, whole
from systems.command import signals, status
from systems.command.processes import slurm_job
from systems.command.run_folder import Requeued, interrupted, previous_of
from systems.dataloader import ends_step

log = logging.getLogger(__name__)
STOP = (signal.SIGINT, *signals.STOP)
REQUEUE = signals.GIVE_WAY
SIGNALS = STOP + REQUEUE


class Checkpoint(Callback):
    """Saves every so many seconds, at the end, and when asked to stop; then the step in progress is finished first.
    The last two checkpoints are kept.

    A job that its starter (submitit) or SLURM is about to stop is saved and handed back to be started again.
    """

    def __init__(self, every_seconds: PositiveFloat = 30.0) -> None:
        self.every_seconds = every_seconds
        self.asked = 0  # the signal, once there is one
        self.saved = -1  # the step of the last checkpoint
        self.between_steps = False  # after training there is no step to wait for
        self.before: dict[int, object] = {}  # the handlers of who has started this process

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self.folder = Path(trainer.default_root_dir)
        self.before = {number: signal.getsignal(number) for number in SIGNALS}
        self.last_save = time.monotonic()
        self._listen()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listens again: Lightning has put handlers before ours, which wait for other processes in midst of a step, or
        requeue by a way of their own."""
        self._listen()
        if trainer.received_sigterm:  # in the moment before, by Lightning, which would end without saving
            trainer._signal_connector.received_sigterm = False
            self._stop(signal.SIGTERM, None)
        if trainer.is_global_zero:
            status.start_at(self.folder, trainer.global_step, trainer.max_steps)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        if not ends_step(trainer, batch_idx):
            return
        any_process = lambda wants: trainer.strategy.reduce_boolean_decision(wants, all=False)
        is_due = time.monotonic() - self.last_save >= self.every_seconds
        if not any_process(bool(self.asked) or is_due):
            return
        self._save(trainer)
        if any_process(self.asked in REQUEUE):
            self._hand_back(trainer)
        if any_process(self.asked in STOP):
            raise interrupted(
                self.folder, f"Interrupted and saved after step {trainer.global_step} of {trainer.max_steps}."
            )

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.global_step != self.saved:
            self._save(trainer)
        self.between_steps = True

    def _save(self, trainer: Trainer) -> None:
        """All processes of a run come here."""
        check_finite(trainer, trainer.lightning_module)
        final = self.folder / "checkpoints" / "last.ckpt"
        if not trainer.is_global_zero:
            trainer.save_checkpoint(final)  # takes part; the first process alone writes
        else:
            with whole(final) as draft:
                draft.touch()  # raises where Lightning's writer would go on without a word
                trainer.save_checkpoint(draft)
                if not draft.stat().st_size:
                    raise OSError(errno.EIO, "nothing was written", str(draft))
                flush(draft)  # only then may the one before the last go
                _keep(final)
            status.saved(self.folder, trainer.global_step)
        self.last_save, self.saved = time.monotonic(), trainer.global_step

    def _hand_back(self, trainer: Trainer) -> None:
        """To be started again, and to go on from what was just saved."""
        said = f"Saved after step {trainer.global_step} of {trainer.max_steps}."
        if trainer.is_global_zero:
            log.info(said)
            self._requeue(self.asked or signal.SIGUSR2)
        raise interrupted(self.folder, said)

    def _requeue(self, number: int) -> None:
        """By who has started this process, whose handler ends it; else by SLURM. Comes back where nobody can."""
        if starter := self._starter(number):
            try:
                starter(number, None)
            except Exception as error:
                raise FailedError(f"saved, but not started again: {_why_not(error)}") from error
        elif slurm_job():
            if reason := signals.requeue():
                log.warning("SLURM does not start job %s again (%s)", slurm_job(), reason)
            else:
                raise Requeued("SLURM starts this job again.")

    def _starter(self, number: int) -> Callable[[int, FrameType | None], object] | None:
        """What who has started this process wants done; None if nobody has."""
        handler = self.before.get(number)
        return handler if callable(handler) and handler is not signals.give_way else None

    def _listen(self) -> None:
        """To all but what `nohup` has told this process not to hear."""
        for number in SIGNALS:
            if number in (signal.SIGINT, signal.SIGTERM) or self.before[number] is not signal.SIG_IGN:
                signal.signal(number, self._stop)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGTERM and self._starter(signal.SIGUSR2) and not self.between_steps:
            self.last_save = -math.inf  # SLURM takes the machine, and starts the job again by itself
            return
        if number in REQUEUE and self.between_steps:
            self._requeue(number)
        if self.between_steps or (self.asked and number in STOP):
            raise interrupted(self.folder, "Interrupted at once.")
        self.asked = self.asked or number
        log.info("Stopping after this step%s.", "; once more to stop at once" if number in STOP else "")


def _keep(last: Path) -> None:
    """As the one before, and under its own name too, where the file system can."""
    previous = previous_of(last)
    if last.exists():
        previous.unlink(missing_ok=True)
        try:
            os.link(last, previous)
        except OSError:
            os.replace(last, previous)


def check_finite(trainer: Trainer, system: LightningModule) -> None:
    """FailedError for what has come to no numbers, which is no state to go on from; the last checkpoint is kept."""
    for name, value in system.named_parameters():
        if not torch.isfinite(value.detach()).all():
            folder = Path(trainer.default_root_dir, "checkpoints")
            kept = f", and the checkpoint before is kept in {folder}" if any(folder.glob("*.ckpt")) else ""
            raise FailedError(
                f"{name} is not finite after step {trainer.global_step}: it was not saved{kept}. Say lower"
                " system.learning_rates or guidance.scale, trainer.precision=32-true, or another seed, with"
                " resume=never."
            )


def _why_not(error: Exception) -> str:
    """Of submitit, which counts."""
    again = "the same command goes on from here"
    if type(error).__name__ == "UncompletedJobError":
        return (
            f"the time limit came more often than launcher.requeues allows. Say more of them, or a higher"
            f" launcher.minutes; {again}."
        )
    return f"SLURM does not start this job again ({' '.join(str(error).split())}); {again}."
