"""A run of a sweep, as a launcher hands it on: composed where the sweep was asked for, whatever happens to files of
configuration until it starts."""

from __future__ import annotations

import copy
import sys
from contextlib import suppress
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from hydra.utils import instantiate
from omegaconf import DictConfig, open_dict

from data.errors import UserError
from systems.command.ending import STOPPED
from systems.command.run_folder import FinishedError, RunFolder
from systems.command.starting import take_over


class Job:
    """config: with Hydra's own part. function: what makes a run of it."""

    def __init__(self, config: DictConfig, number: int, function: TaskFunction, context: HydraContext) -> None:
        with open_dict(config):
            config.hydra.job.num = number
            config.hydra.job.id = str(number)
        self.config, self.function, self.context = config, function, context
        self.singletons = Singleton.get_state()
        own, folder = _of_the_run(config)
        self.name = name_of(own, folder)
        self.finished = _finished(own, folder)

    def run(self) -> JobReturn:
        return run_job(
            task_function=self.function,
            config=self.config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
            hydra_context=self.context,
        )

    def run_elsewhere(self) -> int:
        """In a process that knows nothing of Hydra yet; returns the exit code that the run alone would have."""
        Singleton.set_state(self.singletons)
        setup_globals()
        try:
            code = self.run().return_value
        except SystemExit as stop:
            if stop.code != STOPPED:  # SLURM's: the job will start again, and is not over
                raise
            return STOPPED
        finally:
            sys.stdout.flush()
        return code if isinstance(code, int) else 0


def name_of(config: DictConfig, folder: RunFolder) -> str:
    """Of a run, within its sweep: `guidance=sds/a-red-dog-0`."""
    return str(folder.path.relative_to(sweep_folder(config)))


def sweep_folder(config: DictConfig) -> Path:
    return Path(config.folder.output, config.folder.name)


def _of_the_run(config: DictConfig) -> tuple[DictConfig, RunFolder]:
    """What the run will see, and where it will write."""
    outer = HydraConfig.instance().cfg
    HydraConfig.instance().set_config(config)
    try:
        own = copy.deepcopy(config)
        with open_dict(own):
            del own["hydra"]
        with suppress(UserError):  # the run will tell
            take_over(own)
        return own, instantiate(own.folder)
    finally:
        HydraConfig.instance().cfg = outer


def _finished(config: DictConfig, folder: RunFolder) -> str:
    """Why there is nothing left to do; empty if there is."""
    try:
        folder.plan(config)
    except FinishedError as error:
        return str(error)
    except UserError:
        pass  # the run will tell
    return ""
