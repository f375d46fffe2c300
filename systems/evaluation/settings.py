"""What the runs of a sweep were told: what all have in common, and what sets them apart."""

from __future__ import annotations

from collections.abc import Sequence

from systems.command.sweep import SweptRun
from systems.command.told import is_free

OF_A_RUN = ("prompt", "seed")
UNCHANGED = "default"  # the setting of runs that were told nothing that others were not


class Settings:
    """Of all sweeps into one folder, which may have varied different keys."""

    def __init__(self, runs: Sequence[SweptRun]) -> None:
        self._told = {run: _told(run) for run in runs}
        keys = dict.fromkeys(key for told in self._told.values() for key in told)
        words = {key: {told.get(key) for told in self._told.values()} for key in keys}
        self.keys = [key for key in keys if len(words[key]) > 1]
        self.common = [text for key in keys if len(words[key]) == 1 for text in words[key] if text]

    def name(self, run: SweptRun) -> str:
        """Of a run that nobody has written down, or where all are alike, that of the folder around it."""
        told = self._told[run]
        if self.keys and run.overrides:
            return ", ".join(told[key] for key in self.keys if key in told) or UNCHANGED
        return run.variant or UNCHANGED

    def values(self, run: SweptRun) -> dict[str, str]:
        """Of each key that sets runs apart; empty where this one was not told it."""
        told = self._told[run]
        return {key: _value(told[key]) if key in told else "" for key in self.keys}


def _told(run: SweptRun) -> dict[str, str]:
    """By key, the words that say it; of those that say it twice, the last, as Hydra has it."""
    said = {text.partition("=")[0].lstrip("+"): text.lstrip("+") for text in run.overrides}
    return {key: text for key, text in said.items() if key not in OF_A_RUN and not is_free(key.lstrip("~"))}


def _value(text: str) -> str:
    """`~trainer.logger` has none, and stands for itself."""
    return text.partition("=")[2] or text
