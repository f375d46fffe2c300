"""Lightning wants a loader; these systems draw their data from the step, so the loader only counts."""

from __future__ import annotations

import torch
from pytorch_lightning import Trainer
from torch.utils.data import DataLoader, TensorDataset


def steps_loader(max_steps: int) -> DataLoader:
    return DataLoader(TensorDataset(torch.arange(max_steps)), batch_size=1)


def ends_step(trainer: Trainer, batch_idx: int) -> bool:
    """False between the pieces of a batch whose gradients are accumulated."""
    return (batch_idx + 1) % trainer.accumulate_grad_batches == 0
