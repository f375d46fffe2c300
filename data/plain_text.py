"""Text that anyone may have written, before it is shown on a terminal or in a table. Imports nothing heavy."""

from __future__ import annotations

import re

# What moves the cursor, colours, rings, or turns the direction of what follows
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def one_line(text: str) -> str:
    return CONTROL.sub("", " ".join(text.split()))
