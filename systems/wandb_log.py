"""Weights & Biases: online for a user who is logged in, else offline, to be sent later with `wandb sync`."""

from __future__ import annotations

import netrc
import os
from pathlib import Path

from pytorch_lightning.loggers import WandbLogger


def wandb_logger(project: str, name: str, save_dir: str = "wandb_runs") -> WandbLogger:
    Path(save_dir).mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("WANDB_SILENT", "true")
    return WandbLogger(project=project, name=name, save_dir=save_dir, offline=not _logged_in())


def _logged_in() -> bool:
    if "WANDB_API_KEY" in os.environ:
        return True
    try:
        return netrc.netrc().authenticators("api.wandb.ai") is not None
    except (OSError, netrc.NetrcParseError):
        return False
