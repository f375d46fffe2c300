"""Several processes may share a run, each with a part of every batch; the first of them writes. Without torch."""

from __future__ import annotations

import os

from omegaconf import DictConfig, OmegaConf

RANKS = (("RANK",), ("NODE_RANK", "LOCAL_RANK"), ("SLURM_PROCID",))  # as torchrun, Lightning, and srun tell it


def is_shared(config: DictConfig) -> bool:
    select = lambda key: OmegaConf.select(config, f"trainer.{key}", default=1)
    return (select("devices"), select("num_nodes")) != (1, 1)


def is_first(config: DictConfig) -> bool:
    """Of the processes of this run. Others, say of a cluster's job that makes many runs, do not matter."""
    told = (names for names in RANKS if any(name in os.environ for name in names))
    ranks = [int(os.environ.get(name, 0)) for name in next(told, ())]
    return not is_shared(config) or not any(ranks)


def starts_others(config: DictConfig) -> bool:
    """Whether Lightning will start the other processes, by saying this command again."""
    return is_shared(config) and not any(name in os.environ for names in RANKS for name in names)


def slurm_job() -> str:
    """`12_3` is the fourth of a job array; empty outside SLURM."""
    array = [os.environ.get(f"SLURM_ARRAY_{name}_ID", "") for name in ("JOB", "TASK")]
    return "_".join(array) if all(array) else os.environ.get("SLURM_JOB_ID", "")
