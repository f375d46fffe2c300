"""Hydra takes launchers from this namespace only. What they do is in systems/command/launchers.py and slurm.py."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from hydra.core.utils import JobReturn, configure_log, filter_overrides, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from hydra.utils import instantiate
from omegaconf import DictConfig

from data.errors import UserError
from systems.command.composing import Composer
from systems.command.ending import WRONG_INPUT, complain
from systems.command.jobs import Job

log = logging.getLogger(__name__)


class Chosen(Launcher):
    """The launcher that config.launcher names."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.context, self.function, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        setup_globals()
        folder = Path(self.config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            instantiate(self.config.launcher).launch(self._jobs(job_overrides, initial_job_idx), folder)
        except UserError as error:  # not through Hydra, which would tell it with a traceback
            complain(error)
            sys.exit(WRONG_INPUT)
        return []

    def _jobs(self, job_overrides: Sequence[Sequence[str]], first: int) -> Iterator[Job]:
        """Each composed when it is asked for, and left out if there is nothing left to do."""
        loader = self.context.config_loader
        composer = Composer(lambda told: loader.load_sweep_config(self.config, list(told)))
        for number, overrides in enumerate(job_overrides, first):
            configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
            log.info(f"\t#{number} : {' '.join(filter_overrides(overrides))}")
            job = Job(composer(overrides), number, self.function, self.context)
            if job.finished:
                print(f"Skipped: {job.finished}", flush=True)
            else:
                yield job
