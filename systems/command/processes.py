"""Several processes may share a run, each with a part of every batch; the first of them writes. Without torch."""

from __future__ import annotations

import math
import os

from omegaconf import DictConfig, OmegaConf

from data.errors import UserError

RANKS = (("RANK",), ("NODE_RANK", "LOCAL_RANK"), ("SLURM_PROCID",))  # as torchrun, Lightning, and srun tell it


def is_shared(config: DictConfig) -> bool:
    return (_told(config, "devices"), _told(config, "num_nodes")) != (1, 1)


def processes(config: DictConfig) -> int:
    """Of a run, as far as they are numbers: Lightning also takes devices=auto."""
    told = (_told(config, key) for key in ("devices", "num_nodes"))
    return math.prod(number for number in told if isinstance(number, int))


def _told(config: DictConfig, key: str) -> object:
    return OmegaConf.select(config, f"trainer.{key}", default=1)


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


def slurm_restarts() -> int:
    """How often SLURM has started this job again."""
    return int(os.environ.get("SLURM_RESTART_COUNT", 0))


def local_rank() -> int:
    """Of this process among those of a run on its machine."""
    return int(next((os.environ[name] for name in ("LOCAL_RANK", "SLURM_LOCALID") if name in os.environ), 0))


def prepare(config: DictConfig) -> None:
    """Before torch and numba are imported. Of a machine's cores each process has its part: Lightning sees to that for
    torch, srun and torchrun for what they start. A step that uses all parameters is nothing to warn of (DDP would)."""
    if is_shared(config):
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    devices = _told(config, "devices")
    if starts_others(config) and isinstance(devices, int):
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        os.environ.setdefault("NUMBA_NUM_THREADS", str(max(cores // max(devices, 1), 1)))


def check_tasks(config: DictConfig) -> None:
    """Whether srun has started what Lightning expects; of a run in one process it may have started any number."""
    in_job = "SLURM_NTASKS" in os.environ and os.environ.get("SLURM_JOB_NAME") not in ("bash", "interactive")
    if not is_shared(config) or not in_job or "RANK" in os.environ:
        return
    devices, nodes = _told(config, "devices"), _told(config, "num_nodes")
    told = [os.environ.get(name) for name in ("SLURM_NTASKS_PER_NODE", "SLURM_NTASKS")]
    this = f"this is a job of {told[1]} tasks, {told[0] or 'any number'} a node"
    if told == [str(devices), str(processes(config))]:
        if "SLURM_STEP_ID" in os.environ:
            return
        this = "this is the script of a job, one process"  # which Lightning would let wait for the others
    raise UserError(
        f"trainer.devices={devices} trainer.num_nodes={nodes}: start them with srun --nodes={nodes}"
        f" --ntasks-per-node={devices}; {this}"
    )
