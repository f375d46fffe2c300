"""Runs of a sweep that differ in prompt and seed alone are composed once: Hydra takes half a second each time."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig, OmegaConf

from systems.command.overrides import key_of, parse

VALUES = {"prompt", "seed"}  # on which no choice of the configuration depends


class Composer:
    """compose: what Hydra makes of a list of overrides, with its own part."""

    def __init__(self, compose: Callable[[Sequence[str]], DictConfig]) -> None:
        self.compose = compose
        self.composed: dict[tuple[str, ...], DictConfig] = {}

    def __call__(self, overrides: Sequence[str]) -> DictConfig:
        """A configuration of its own for each caller."""
        said = [parse(text) for text in overrides]
        alike = tuple(key_of(one) if _is_value(one) else text for one, text in zip(said, overrides, strict=True))
        if alike not in self.composed:
            self.composed[alike] = self.compose(overrides)
        config = copy.deepcopy(self.composed[alike])
        for one in filter(_is_value, said):
            OmegaConf.update(config, one.key_or_group, one.value(), merge=True)
        own = [text for one, text in zip(said, overrides, strict=True) if not one.is_hydra_override()]
        config.hydra.overrides.task = own
        return config


def _is_value(override: Override) -> bool:
    is_plain = override.type is OverrideType.CHANGE and not override.is_sweep_override()
    return is_plain and key_of(override) in VALUES
