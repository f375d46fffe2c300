"""How a sentence says from which side a view looks. Imports nothing heavy, so that a wrong word is told at once."""

from __future__ import annotations

from dataclasses import dataclass
from string import Formatter
from typing import Protocol, runtime_checkable

from data.errors import UserError

FIELDS = ("prompt", "direction")


@runtime_checkable
class Wording(Protocol):
    def __call__(self, prompt: str, suffix: str) -> tuple[str, str, str, str]:
        """For a view of the side, the front, the back, and from above: the order of data/directions.py."""
        ...


@dataclass(frozen=True)
class Template:
    """One form for all: "{prompt}, {direction} view" or "{direction} view of {prompt}"; a prompt has its suffix."""

    template: str = "{prompt}, {direction} view"
    side: str = "side"
    front: str = "front"
    back: str = "back"
    overhead: str = "overhead"

    def __post_init__(self) -> None:
        try:
            fields = [field for _, field, _, _ in Formatter().parse(self.template) if field is not None]
            self("", "")
        except (ValueError, LookupError, AttributeError):
            fields = []
        if "prompt" not in fields or not set(fields) <= set(FIELDS):
            raise UserError(
                f'prompt_processor.view_words.wording.template="{self.template}" must hold {{prompt}} and may hold'
                ' {direction}, nothing else in braces: say "{prompt}, {direction} view" or the like'
            )

    def __call__(self, prompt: str, suffix: str) -> tuple[str, str, str, str]:
        say = lambda direction: self.template.format(prompt=prompt + suffix, direction=direction)
        return say(self.side), say(self.front), say(self.back), say(self.overhead)


@dataclass(frozen=True)
class ManualViews:
    """A prompt of one's own for a direction, which gets the suffix; null: the common prompt."""

    side: str | None = None
    front: str | None = None
    back: str | None = None
    overhead: str | None = None

    def __call__(self, prompt: str, suffix: str) -> tuple[str, str, str, str]:
        say = lambda own: (prompt if own is None else own) + suffix
        return say(self.side), say(self.front), say(self.back), say(self.overhead)
