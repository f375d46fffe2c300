"""A command line: tidied, taken apart into its runs, each of them checked before the first starts. Without torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from hydra import initialize_config_dir
from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.utils import instantiate
from omegaconf import DictConfig

from data.errors import UserError
from guidance.prior_folder import MissingPriorError
from systems.command.asked_runs import AskedRun, asked_runs
from systems.command.check import by_hydra, check_config, check_folder, check_start, check_writable, compose_checked
from systems.command.composing import Composer
from systems.command.overrides import parse, quoted
from systems.command.processes import is_first, starts_others
from systems.command.prompt_file import name_prompts
from systems.command.prompt_list import check_apart
from systems.command.sweep import Asked, asked
from systems.command.told import check_told
from systems.command.weights_folder import check_weights_apart, written

QUOTED = re.compile(r"'(?:\\.|[^'])*'|\"(?:\\.|[^\"])*\"")
CUT = re.compile(r"(?<!\0), |, (?!\0)")  # beside words without quotes
SHOWS = {"-c", "--cfg", "-i", "--info", "-h", "--help", "--hydra-help", "-r", "--run", "-sc", "--shell-completion"}


def check_command_line(argv: list[str], conf: Path) -> list[Asked]:
    """Raises UserError for the first thing that is wrong with any run that this command line asks for; returns those of
    a sweep that it starts."""
    arguments = get_args_parser().parse_args(argv)
    if arguments.help or arguments.hydra_help:
        return []
    shows = arguments.cfg or arguments.info
    if shows and arguments.multirun:
        raise UserError("--cfg and --info show one configuration: leave out --multirun, give one value to each key")
    with initialize_config_dir(str(conf), version_base="1.3"):
        overrides = [parse(text) for text in arguments.overrides]
        prompts: list[str] = []
        weights: list[tuple[Path, Path]] = []
        sweep: list[Asked] = []
        composer = Composer(by_hydra)
        places: list[DictConfig] = []
        for job in _jobs(overrides, arguments.multirun):
            config = compose_checked(job, composer)
            if shows:
                continue
            check_config(config, job)
            only_shown = arguments.multirun and _check_launcher(config, overrides)
            check_folder(config, skip_finished=arguments.multirun)
            places += [] if only_shown else [config]
            _check_asked(config.job)
            prompts += [] if config.prompt is None else [config.prompt]
            weights += written(config)
            sweep += [asked(config, job)] if arguments.multirun and not only_shown and is_first(config) else []
        check_apart(prompts)
        check_weights_apart(weights)
        for config in places:  # nothing is made for a command that is refused
            check_writable(config)
    return sweep


def _check_launcher(config: DictConfig, overrides: Sequence[Override]) -> bool:
    """UserError if it cannot work; returns whether it only shows what it would do."""
    if starts_others(config):
        raise UserError("--multirun with several trainer.devices: start it with torchrun, or leave out --multirun")
    for override in overrides:
        if override.key_or_group.split(".")[0] == "launcher" and override.is_sweep_override():
            raise UserError(f"{override.input_line}: a sweep has one launcher; give one value")
    instantiate(config.launcher, _convert_="all").check()
    return bool(config.launcher.get("dry_run"))


def _check_asked(job: DictConfig) -> None:
    """The runs that a table asks for, as if they had been asked for one by one."""
    runs = asked_runs(job)
    for run in runs:
        check_told(run)
    missing = [run for run in runs if job.make == "missing" and not run.folder.metrics.exists()]
    for row in dict.fromkeys(run.row for run in missing):
        _check_row([run for run in missing if run.row == row])


def _check_row(runs: Sequence[AskedRun]) -> None:
    """They differ in prompt and seed, so that one is composed for all."""
    overrides = [parse(text) for text in runs[0].overrides]
    prompts = [run.prompt for run in runs if run.prompt is not None]
    try:
        config = compose_checked(overrides)
        check_config(config, overrides, prompts or None)
        for run in runs:
            if run.folder.path.exists():
                config.prompt, config.seed = run.prompt, run.seed
                check_start(config)
    except MissingPriorError as error:
        if prompts:
            raise UserError(f"{runs[0].row}: {error}") from None
        # else a row of its own, which may be trained later
    except UserError as error:
        raise UserError(f"{runs[0].row}: {error}") from None


def tidy(argv: list[str]) -> list[str]:
    """What the user types as Hydra wants it: `prompt=a dog, red` -> `prompt="a dog, red"`, since a sentence is no Hydra
    expression. A sweep keeps its commas, and what it varies beside prompt and seed names a folder. Whatever a launcher
    is told to launch is a sweep. Flags go last."""
    overrides = [text for text in argv if text.startswith("~") or ("=" in text and text[0] != "-")]
    flags = [text for text in argv if text not in overrides]
    sweep = bool({"-m", "--multirun"} & set(flags))
    if not sweep and _is_launched(overrides) and not SHOWS & {flag.split("=")[0] for flag in flags}:
        flags, sweep = [*flags, "--multirun"], True
    overrides = name_prompts(overrides, sweep)
    if not sweep:
        return [_with_quotes(text) if text.startswith("prompt=") else text for text in overrides] + flags
    same = {override.key_or_group for override in map(parse, overrides) if not override.is_sweep_override()}
    unnamed = ",".join(sorted(same | {"prompt", "seed", "folder.variant"}))
    dirname = f"hydra.job.config.override_dirname.exclude_keys=[{unnamed}]"
    return [*overrides, dirname, "folder.variant=${hydra:job.override_dirname}", *flags]


def _is_launched(overrides: list[str]) -> bool:
    chosen = [text.split("=", 1)[1] for text in overrides if text.startswith("launcher=")]
    return any(choice != "local" for choice in chosen)


def _with_quotes(text: str) -> str:
    key, value = text.split("=", 1)
    if value[:1] in {'"', "'"} and value[-1:] == value[:1] and len(value) > 1:
        return text
    return f"{key}={quoted(value)}"


def _jobs(overrides: list[Override], multirun: bool) -> list[list[Override]]:
    """The overrides of each job of a sweep; of the one job, if it is none."""
    sweeps = [override for override in overrides if override.is_sweep_override()]
    if sweeps and not multirun:
        raise UserError(f"{sweeps[0].input_line}: several values need --multirun; one value with a comma needs quotes.")
    jobs: list[list[Override]] = [[]]
    for override in overrides:
        values = _values(override) if override.is_sweep_override() else []
        options = [parse(f"{override.get_key_element()}={value}") for value in values] or [override]
        jobs = [[*job, option] for job in jobs for option in options]
    return jobs


def _values(override: Override) -> list[str]:
    """Of a sweep over one key: UserError if there is none, or one twice, or a sentence may have been cut."""
    told = override.input_line
    try:
        values = list(override.sweep_string_iterator())
    except HydraException:
        raise UserError(f"{told}: say its values, with commas between them, or range(0,4)") from None
    if not values:
        raise UserError(f"{told}: that is no value at all; say one or more")
    if twice := next((value for value in values if values.count(value) > 1), None):
        raise UserError(f"{told}: {twice} stands there twice; once is enough")
    if override.key_or_group == "prompt" and CUT.search(QUOTED.sub("\0", told or "")):
        raise UserError(
            f"{told}: does a comma belong to a sentence, or stand between two? Say \"prompt='a red dog, in a hat','a"
            " duck'\", or no space after it"
        )
    return values
