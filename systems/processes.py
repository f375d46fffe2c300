"""How the processes of a run are started, and exchange gradients."""

from __future__ import annotations

from typing import Literal

import torch
from lightning_fabric.plugins.environments import SLURMEnvironment, TorchElasticEnvironment
from pytorch_lightning.strategies import DDPStrategy

from data.ranges import PositiveInt


def strategy(devices: PositiveInt, num_nodes: PositiveInt) -> DDPStrategy | Literal["auto"]:
    """Of a text-to-3D run. A step may leave parameters unused: under a light that shows the shape alone, the colours.
    Buffers need no exchange: each process computes the same.
    """
    if (devices, num_nodes) == (1, 1):
        return "auto"
    return DDPStrategy(find_unused_parameters=True, broadcast_buffers=False)


def environment() -> SLURMEnvironment | None:
    """Under srun, SLURM's, but without putting the job back into the queue at a signal, which would run the same
    command a second time: the run is saved, and who started it decides. None: Lightning finds what there is.
    """
    if TorchElasticEnvironment.detect() or not SLURMEnvironment.detect():
        return None
    return SLURMEnvironment(auto_requeue=False)


def take_device(local_rank: int) -> None:
    """The GPU that a process means by "cuda", before it builds anything there: Lightning gives it the same one."""
    if local_rank < torch.cuda.device_count():
        torch.cuda.set_device(local_rank)
