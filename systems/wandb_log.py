"""Weights & Biases: online for a user who is logged in, else offline, to be sent later with `wandb sync`."""

from __future__ import annotations

import netrc
import os
from pathlib import Path

from pytorch_lightning.loggers import WandbLogger


class WandbLog(WandbLogger):
    """One W&B run per run, also where a sweep has many in one process."""

    def __init__(self, project: str, name: str, save_dir: str) -> None:
        Path(save_dir).mkdir(parents=True, exist_ok=True)
        os.environ.setdefault("WANDB_SILENT", "true")
        super().__init__(project=project, name=name, save_dir=save_dir, offline=not _logged_in())

    def finalize(self, status: str) -> None:
        super().finalize(status)
        self.experiment.finish()


def _logged_in() -> bool:
    if "WANDB_API_KEY" in os.environ:
        return True
    try:
        return netrc.netrc().authenticators("api.wandb.ai") is not None
    except (OSError, netrc.NetrcParseError):
        return False
