"""A config.yaml that a run has written down, read as what it is: values, from a folder that anyone may have sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml  # type: ignore[import-untyped]
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from data.errors import UserError
from data.reading import read_text
from guidance.prior_folder import REPOSITORY
from systems.command import schema
from systems.command.walk import KEYWORDS

LARGEST = 2**20  # bytes; those of our experiments have ten thousand
FAST = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# What values that cannot be read make of a parser
UNREADABLE = (
    yaml.YAMLError,
    OmegaConfBaseException,
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)
NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
CALLED_PLACES = ("models", "renderers", "systems/schedules.py")  # where a past run's classes are defined
CALLED_FUNCTIONS = {"models.environment.studio"}
LINK = "${"  # with which all that OmegaConf resolves begins


def read_config(file: Path) -> DictConfig:
    """ValueError: "is ..." or "holds ...", what is wrong with it."""
    found = _load(file, yaml.SafeLoader, OmegaConf.create)  # by the parser that OmegaConf has, to see what it sees
    if not isinstance(found, DictConfig):
        raise ValueError("is no table of keys and values")
    if _has_link(OmegaConf.to_container(found)):  # not in the text, where $ has other spellings
        raise ValueError("holds a link (${...}), which a run would have resolved")
    return found


def read_values(file: Path) -> dict[object, object]:
    """To be shown, with nothing built of them: within a tenth of the time. ValueError as above."""
    found = _load(file, FAST, lambda text: yaml.load(text, FAST))
    if not isinstance(found, dict):
        raise ValueError("is no table of keys and values")
    return found


def _load(file: Path, loader: object, load: Callable[[str], object]) -> object:
    """loader: what reads the text for `load`."""
    text = read_text(file, LARGEST)
    try:
        unwanted = _unwanted(text, loader)
        found = None if unwanted else load(text)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except UNREADABLE as error:
        raise ValueError(f"is no configuration ({' '.join(str(error).split())[:200]})") from None
    if unwanted:
        raise ValueError(f"holds {unwanted}, which no run writes")
    return found


def _unwanted(text: str, loader: object) -> str:
    """What makes more of a text than stands in it; empty if there is none."""
    if not {"&", "!"} & set(text):  # with which they begin: most texts need no second look
        return ""
    for event in yaml.parse(text, loader):
        if isinstance(event, yaml.AliasEvent):
            return "an alias (*...)"
        if getattr(event, "tag", None) is not None:
            return "a tag (!...)"
    return ""


def _has_link(node: object) -> bool:
    if isinstance(node, dict):
        return any(map(_has_link, [*node.keys(), *node.values()]))
    if isinstance(node, list):
        return any(map(_has_link, node))
    return LINK in node if isinstance(node, str) else False


def check_targets(node: object, path: str, where: str) -> None:
    """UserError if anything but a class of ours would be called to build this. By the text alone: nothing is imported.

    path: of the node in its configuration. where: how a message begins that says where that is.
    """
    for place, key, value in _calls(node, path):
        if key != "_target_" or not _is_ours(value):  # the other words say how, which no run needs
            raise UserError(
                f"{where} says {place}.{key}={str(value)[:200]}, and only classes that are defined in models/,"
                " renderers/ and systems/schedules.py are called for another run: give the folder of a run of this"
                " program"
            )


def _calls(node: object, path: str) -> Iterator[tuple[str, object, object]]:
    """Where it stands, key and value, of all that says what is called, or how."""
    if isinstance(node, dict):
        for key, child in node.items():
            if key in KEYWORDS or not isinstance(key, str):
                yield path, key, child
            yield from _calls(child, f"{path}.{key}")
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield from _calls(child, f"{path}.{index}")


def _is_ours(target: object) -> bool:
    if not isinstance(target, str) or not NAME.fullmatch(target):
        return False
    top = target.split(".")[0]
    found = schema.find(target) if top in {place.split("/")[0] for place in CALLED_PLACES} else None
    if found is None or not any(found.file.is_relative_to(REPOSITORY / place) for place in CALLED_PLACES):
        return False
    return schema.is_class(found) or target in CALLED_FUNCTIONS
