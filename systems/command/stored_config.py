"""A config.yaml that a run has written down, read as what it is: values, from a folder that anyone may have sent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import yaml  # type: ignore[import-untyped]
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from data.errors import UserError
from data.reading import read_text
from guidance.prior_folder import REPOSITORY
from systems.command import schema

LARGEST = 2**20  # bytes; those of our experiments have ten thousand
FAST = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
CALLED_PLACES = ("models", "renderers", "systems/schedules.py")  # where a past run's classes are defined
CALLED_FUNCTIONS = {"models.environment.studio"}


def read_config(file: Path) -> DictConfig:
    """ValueError: "is ..." or "holds ...", what is wrong with it."""
    text = read_text(file, LARGEST)
    if "${" in text:
        raise ValueError("holds a link (${...}), which a run would have resolved")
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, FAST)):
            raise ValueError("holds an alias (*...), which no run writes")
        found = OmegaConf.create(text)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except (yaml.YAMLError, OmegaConfBaseException, TypeError, AttributeError) as error:
        raise ValueError(f"is no configuration ({str(error).splitlines()[0]})") from None
    if not isinstance(found, DictConfig):
        raise ValueError("is no table of keys and values")
    return found


def check_targets(node: object, path: str, where: str) -> None:
    """UserError if anything but a class of ours would be called to build this. By the text alone: nothing is imported.

    path: of the node in its configuration. where: how a message begins that says where that is.
    """
    for key, target in _targets(node, path):
        if not _is_ours(target):
            raise UserError(
                f"{where} says {key}._target_={str(target)[:200]}, and only classes that are defined in models/,"
                " renderers/ and systems/schedules.py are called for another run: give the folder of a run of this"
                " program"
            )


def _targets(node: object, path: str) -> Iterator[tuple[str, object]]:
    if isinstance(node, dict):
        if "_target_" in node:
            yield path, node["_target_"]
        for key, child in node.items():
            yield from _targets(child, f"{path}.{key}")
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield from _targets(child, f"{path}.{index}")


def _is_ours(target: object) -> bool:
    if not isinstance(target, str) or not NAME.fullmatch(target):
        return False
    top = target.split(".")[0]
    found = schema.find(target) if top in {place.split("/")[0] for place in CALLED_PLACES} else None
    if found is None or not any(found.file.is_relative_to(REPOSITORY / place) for place in CALLED_PLACES):
        return False
    return schema.is_class(found) or target in CALLED_FUNCTIONS
