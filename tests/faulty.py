"""A callback that makes a training go wrong, so that tests can see what its user is told and what is lost.

FAULTS, an environment variable, is a table in JSON: the end of a run folder's path -> what happens, and after how many
steps: {"guidance=sds/a-red-dog-3": ["raise", 20]}. Each happens once.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

FOLDER = "FAULTY_FOLDER"  # an environment variable: of the disk that is filled


STEPS = 7
# A run of so many, in which every step is saved, and anything may happen
SMALL = [
    f"trainer.max_steps={STEPS}", "system.batch_size=4", "quality=draft", "report.size=32", "report.n_frames=8",
    "export.resolution=24", "export.texture_size=64", "checkpoint.every_seconds=0.0001",
    "geometry.encoding.log2_table_size=10",
    "trainer.callbacks=[${progress},{_target_:tests.faulty.Faulty},${report},${checkpoint}]",
]  # fmt: skip


def fill(folder: Path) -> None:
    """To the last byte."""
    block = 2**20
    with (folder / "filler").open("wb", buffering=0) as file:
        while block:
            try:
                file.write(b"\0" * block)
            except OSError:
                block //= 2


def protect(folder: Path, on: bool) -> bool:
    """Nothing can be made in the folder and those below, by root neither. False where one cannot have that."""
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    if os.geteuid():
        for one in folders:
            one.chmod(0o555 if on else 0o755)
        return True
    return not subprocess.run(["chattr", "+i" if on else "-i", *map(str, folders)], capture_output=True).returncode


class Faulty(Callback):
    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self.folder = Path(trainer.default_root_dir).absolute()
        self.mark = self.folder.with_name(f".{self.folder.name}.fault")
        plan = json.loads(os.environ.get("FAULTS", "{}"))
        mine = [fault for name, fault in plan.items() if str(self.folder).endswith(name)]
        self.what, self.step = mine[0] if mine and not self.mark.exists() else ("", -1)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        if trainer.global_step == self.step:
            self.mark.touch()
            getattr(self, self.what)(pl_module)

    def mistake(self, system: LightningModule) -> None:
        raise RuntimeError("a mistake in the program")

    def not_finite(self, system: LightningModule) -> None:
        with torch.no_grad():
            next(iter(system.parameters())).fill_(float("nan"))

    def kill(self, system: LightningModule) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def interrupt(self, system: LightningModule) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    def terminate(self, system: LightningModule) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    def preempt(self, system: LightningModule) -> None:
        os.kill(os.getpid(), signal.SIGUSR2)

    def wait_for_signal(self, system: LightningModule) -> None:
        signal.pause()

    def memory(self, system: LightningModule) -> None:
        torch.empty(10**15)

    def vanish(self, system: LightningModule) -> None:
        shutil.rmtree(self.folder)

    def full_disk(self, system: LightningModule) -> None:
        fill(Path(os.environ[FOLDER]))

    def read_only(self, system: LightningModule) -> None:
        protect(self.folder, True)

    def damage(self, system: LightningModule) -> None:
        """The checkpoint of this moment is written by half, and then the power fails."""
        last = self.folder / "checkpoints" / "last.ckpt"
        last.write_bytes(last.read_bytes()[: last.stat().st_size // 2])
        self.kill(system)
