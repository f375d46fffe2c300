"""What to say for a value that is taken from where, with these choices, nothing is."""

from __future__ import annotations

import re
from collections.abc import Mapping

from omegaconf.errors import OmegaConfBaseException

NOT_FOUND = re.compile(r"Interpolation key '([\w.]+)' not found")


def unresolved(error: OmegaConfBaseException, examples: Mapping[str, str]) -> str:
    """examples: by key, how it may be said."""
    reason = str(error).splitlines()[0]
    link = NOT_FOUND.fullmatch(reason)
    if link is None or error.full_key is None:
        return f"the configuration cannot be resolved: {reason}"
    value = examples.get(link[1], f"{link[1]}=VALUE").removeprefix(link[1])
    return (
        f"{error.full_key} is missing: it would be {link[1]}, which these choices do not have; say"
        f" {error.full_key}{value}"
    )
