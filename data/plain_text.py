"""Text that anyone may have written, before it is shown on a terminal, in a table, or names a file. Nothing heavy."""

from __future__ import annotations

import re

COLOUR = r"\x1b\[[0-9;?]*[A-Za-z]"  # or another order to a terminal
# Control characters, what turns the direction of what follows, and halves of what takes two in UTF-16
UNSEEN = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff"


def printable(text: str) -> str:
    """Without what a terminal would obey, or no file takes."""
    return re.sub(f"{COLOUR}|[{UNSEEN}]", "", text)


def one_line(text: str) -> str:
    return printable(" ".join(text.split()))


def is_plain(text: str) -> bool:
    """Whether it is one line that any file and any terminal takes."""
    return re.search(rf"[\t\n{UNSEEN}]", text) is None
