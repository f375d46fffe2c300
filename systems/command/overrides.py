"""Hydra's overrides, read and written."""

from __future__ import annotations

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.errors import HydraException

from data.errors import UserError


def parse(text: str) -> Override:
    try:
        return OverridesParser.create().parse_override(text)
    except HydraException:
        raise UserError(f"{text!r} cannot be read: an override is key=value, with quotes around odd text.") from None


def key_of(override: Override) -> str:
    """Without a sign before it; a group with the place that it is put in: `field@geometry.field`."""
    return f"{override.key_or_group}@{override.package}" if override.package else override.key_or_group


def quoted(value: str) -> str:
    return QuotedString(value, Quote.double).with_quotes()
