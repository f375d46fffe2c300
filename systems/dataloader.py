"""Lightning wants a loader; these systems draw their data from the step, so the loader only counts."""

from __future__ import annotations

import torch
from torch.utils.data import DataLoader, TensorDataset


def steps_loader(max_steps: int) -> DataLoader:
    return DataLoader(TensorDataset(torch.arange(max_steps)), batch_size=1)
