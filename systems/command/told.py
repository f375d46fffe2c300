"""Whether a finished run was told what it would be told now: the runs of a table are made alike. Without torch."""

from __future__ import annotations

import functools
import json
import re
import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from data.errors import UserError
from data.reading import read_text
from guidance.prior_folder import PARTS, MissingPriorError, find_prior
from guidance.weights.checksum import checksum, fingerprint
from systems.command.asked_runs import AskedRun
from systems.command.metrics_file import damaged, read_metrics
from systems.command.overrides import key_of, parse
from systems.command.run_folder import FREE_ANYWHERE, RunFolder
from systems.command.stored_config import LARGEST, read_config

FREE = {
    "output",
    "name",
    "folder",
    "resume",
    "progress",
    "checkpoint",
    "launcher",
}  # where a run stands, and who watches it
PRIOR = "prior.path"


def check_told(run: AskedRun) -> None:
    """UserError if it is finished, and was made otherwise."""
    if run.folder.metrics.exists() and (difference := _difference(run.folder, run.overrides)):
        raise UserError(
            f"{run.folder.path} is finished, and was made otherwise ({difference}): say the same again, or name=another"
            " for a table of its own"
        )


def _difference(folder: RunFolder, overrides: Sequence[str]) -> str | None:
    if not folder.command.is_file():
        return f"{folder.command.name} is gone, which says how"
    was = dict(map(_said, _words(folder.command)[2:]))
    asked = dict(map(_said, overrides))
    keys = {key for key in was.keys() | asked.keys() if not is_free(key)}
    stamp = read_metrics(folder.metrics).get("prior")
    if stamp and (now := _stamp(asked.get(PRIOR) or _configured(folder, PRIOR))):
        if now != stamp:
            return "its prior had other weights"
        keys.discard(PRIOR)  # may have moved since
    for key in sorted(keys):
        old, new = was.get(key) or _configured(folder, key), asked.get(key, "not said")
        if old != new:
            return f"{key} was {old}, is {new}"
    return None


def _words(command: Path) -> list[str]:
    try:
        return shlex.split(read_text(command, LARGEST))
    except (ValueError, OSError) as error:
        raise damaged(command, error) from None


def _read_config(file: Path) -> DictConfig:
    try:
        return read_config(file)
    except (ValueError, OSError) as error:
        raise damaged(file, error) from None


@functools.cache
def _said(word: str) -> tuple[str, str]:
    """Key and value of an override as it was typed, or as Hydra writes it for a sweep's job."""
    with suppress(UserError, HydraException):
        override = parse(word)
        sign = "~" if override.is_delete() else ""
        return sign + key_of(override), _bare(override.get_value_element_as_str())
    key, _, value = word.partition("=")  # a shell has taken quotes away
    return key, _bare(value)


def _bare(value: str) -> str:
    return re.sub(r"[\"'\\]", "", re.sub(r"\s*([,:])\s*", r"\1", value))


def is_free(key: str) -> bool:
    """Whether it changes nothing about what a run makes."""
    parts = key.split(".")
    return parts[0] in FREE or not FREE_ANYWHERE.isdisjoint(parts)


def _configured(folder: RunFolder, key: str) -> str:
    """What a run has by default that was not told it."""
    config = _read_config(folder.config) if folder.config.is_file() and "@" not in key else OmegaConf.create()
    value = OmegaConf.select(config, key, default="not said")
    return "not said" if isinstance(value, DictConfig) else _bare(json.dumps(_plain(value)))


def _plain(value: object) -> object:
    return OmegaConf.to_container(value) if OmegaConf.is_config(value) else value


def _stamp(path: str) -> str | None:
    """The fingerprint that the prior there has in metrics.json; None if there is none on this disk."""
    with suppress(MissingPriorError):
        found = find_prior(path)
        if isinstance(found, Path):
            return fingerprint(found, PARTS) if found.is_dir() else checksum(found)
    return None
