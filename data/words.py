"""What counts as a word: one rule for captions, prompts and tokens."""

from __future__ import annotations

import re


def words_of(text: str) -> list[str]:
    """Lower-case words and commas."""
    return re.findall(r"[a-z0-9]+|,", text.lower())
