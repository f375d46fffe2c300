"""The batch of an optimiser step, shared by processes and by pieces, one after the other."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pytorch_lightning import Trainer
from torch import Tensor

from data.errors import UserError
from systems.dataloader import ends_step


class SharedBatch:
    """`size` pictures, of which each process (trainer.devices) has as many in each of its pieces
    (trainer.accumulate_grad_batches). n_view: so many that follow each other stay together.
    """

    def __init__(self, trainer: Trainer, size: int, n_view: int = 1) -> None:
        self.trainer = trainer
        self.count = trainer.world_size * trainer.accumulate_grad_batches
        if size % (n_view * self.count):
            groups = f", in groups of {n_view} views" if n_view > 1 else ""
            raise UserError(
                f"system.batch_size={size}: {self.count} processes and pieces share it{groups}; say a multiple of"
                f" {n_view * self.count}"
            )
        self.each = size // self.count
        self.losses: list[dict[str, Tensor]] = []  # of the pieces of the step in progress

    def number(self, batch_idx: int) -> int:
        """Of the share that this process has now, among all `count`."""
        piece = batch_idx % self.trainer.accumulate_grad_batches
        return piece * self.trainer.world_size + self.trainer.global_rank

    def place(self, batch_idx: int) -> slice:
        """Of that share in the batch."""
        first = self.number(batch_idx) * self.each
        return slice(first, first + self.each)

    def mean(self, losses: Mapping[str, Tensor], batch_idx: int) -> dict[str, Tensor]:
        """Over the pieces of this process, each of which brings its own; nothing before the last of a step."""
        self.losses.append({name: loss.detach() for name, loss in losses.items()})
        if not ends_step(self.trainer, batch_idx):
            return {}
        means = {name: torch.stack([piece[name] for piece in self.losses]).mean() for name in losses}
        self.losses = []
        return means
