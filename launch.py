"""Compose the configuration, check it, seed, build the job once, run it; --help lists the choices."""

from __future__ import annotations

from systems.command import stopwatch  # first: its clock starts when it is imported

# isort: split
import logging
import sys
import warnings
from pathlib import Path
from typing import cast

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from data.errors import UserError
from systems.command.claim import claimed
from systems.command.command_line import check_command_line, tidy
from systems.command.ending import (
    DONE,
    STOPPED,
    WRONG_INPUT,
    complain,
    ending,
    is_finished,
    say,
    told,
    user_error,
)
from systems.command.processes import is_first, is_shared, local_rank, prepare
from systems.command.run_folder import Interrupted, RunFolder
from systems.command.signals import listening
from systems.command.starting import take_over
from systems.command.sweep import tell, write_sweeps
from systems.command.weights_folder import claimed_weights

CONF = Path(__file__).resolve().parent / "conf"
INTERRUPTED = "Interrupted."
log = logging.getLogger("systems")
codes: list[int] = []  # one per job of this command: Hydra keeps to itself what a job returns


@hydra.main(config_path=str(CONF), config_name="config", version_base="1.3")
def launch(config: DictConfig) -> int:
    """One run. Its failure does not keep the other jobs of a sweep from running; the user's wish to stop does."""
    try:
        with listening():
            codes.append(outcome(config))
    except (Interrupted, KeyboardInterrupt) as stop:
        if not is_first(config):
            sys.exit(DONE)  # so that the first, which tells, is not killed for it
        say(stop if isinstance(stop, Interrupted) else INTERRUPTED)
        sys.exit(STOPPED)
    stopwatch.restart()
    return codes[-1]


def outcome(config: DictConfig) -> int:
    """Runs; tells what went wrong here, because Hydra would turn an exception into a traceback."""
    try:
        run(config)
    except Interrupted:
        raise
    except Exception as error:
        if is_finished(error) and HydraConfig.get().mode == RunMode.MULTIRUN:
            say(f"Skipped: {user_error(error)}")
            return DONE
        end = ending(error, instantiate(config.folder).path if user_error(error) is None else Path())
        if end.is_bug:
            log.exception("This is a bug in fourview:")
        else:
            complain(end.reason)
        return end.code
    return DONE


def run(config: DictConfig) -> None:
    take_over(config)
    prepare(config)
    folder: RunFolder = instantiate(config.folder)
    if not is_first(config):
        return _run_job(config, folder, folder.plan(config))
    with claimed(folder.path), claimed_weights(config):
        said = cast(list[str], OmegaConf.to_container(HydraConfig.get().overrides.task))  # with its ${links}
        checkpoint = folder.open(config, said)
        with told(folder):
            _run_job(config, folder, checkpoint)
    say(folder.path)


def _run_job(config: DictConfig, folder: RunFolder, checkpoint: Path | None) -> None:
    from systems.torchvision_shim import define_missing_ops

    define_missing_ops()
    from pytorch_lightning import seed_everything

    from systems.processes import take_device

    _silence_lightning()
    if is_shared(config):
        take_device(local_rank())
    seed_everything(config.seed, verbose=False)
    instantiate(config.job, _convert_="all").run(folder, checkpoint)


def _silence_lightning() -> None:
    """Its messages are about itself. Once it is imported, because its import sets its own level."""
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="pytorch_lightning|lightning_fabric|torch.optim|torch.utils")


def main() -> int:
    try:
        with listening():
            return _main()
    except KeyboardInterrupt:
        say(INTERRUPTED)
        return STOPPED


def _main() -> int:
    try:
        sys.argv[1:] = tidy(sys.argv[1:])
        sweep = check_command_line(sys.argv[1:], CONF)
        write_sweeps(sweep)
    except UserError as error:
        complain(error)
        return WRONG_INPUT
    codes.clear()
    launch()
    codes.extend([tell(sweep)] if sweep else [])
    return max(codes, default=DONE)


if __name__ == "__main__":
    sys.exit(main())
