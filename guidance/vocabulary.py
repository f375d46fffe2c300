"""The words a prior knows, and what to tell a user who wrote another one. Imports nothing heavy."""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from data.errors import UserError
from data.reading import read_json
from data.words import words_of

log = logging.getLogger(__name__)


def read_vocabulary(folder: Path) -> tuple[str, ...] | None:
    """The words that the prior in `folder` has learned, or None if its tokenizer reads anything.

    A list may hold words that have a token but were in no caption of the training; `known` are the others.
    """
    file = folder / "tokenizer" / "vocabulary.json"
    if not file.exists():
        return None
    try:
        lists = read_json(file)
        words = lists.get("known") or lists["words"]
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise ValueError("holds no list of words")
        return tuple(words)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"prior.path={folder}: {file} is damaged ({error!r}); restore the folder") from error


def unknown_words(text: str, vocabulary: tuple[str, ...]) -> dict[str, list[str]]:
    """Each word of the text that the prior has not learned, with the known words nearest to it in spelling."""
    foreign = [word for word in re.findall(r"\w+", text.lower()) if not word.isascii()]  # which words_of passes over
    unknown = [word for word in dict.fromkeys([*foreign, *words_of(text)]) if word not in (*vocabulary, ",")]
    return {word: difflib.get_close_matches(word, vocabulary) for word in unknown}


def check_words(prompt: str, vocabulary: tuple[str, ...] | None, unknown: Literal["error", "warn"] = "error") -> None:
    """Raises (`error`) or logs (`warn`) one sentence about the words of the prompt that the prior has not learned."""
    check_sentences([prompt], vocabulary, unknown)


def check_sentences(
    sentences: Sequence[str], vocabulary: tuple[str, ...] | None, unknown: Literal["error", "warn"] = "error"
) -> None:
    """`check_words` of each; no word is told twice."""
    if vocabulary is None:
        return
    told: set[str] = set()
    for sentence in sentences:
        found = unknown_words(sentence, vocabulary)
        if strangers := {word: nearest for word, nearest in found.items() if word not in told}:
            message = f"the prior has not learned {_describe(strangers)}; it knows {_list(strangers, vocabulary)}"
            if unknown == "error":
                way_out = "use those, or ignore this with prompt_processor.unknown=warn"
                raise UserError(f'prompt="{sentence}": {message}: {way_out}')
            log.warning('prompt="%s": %s', sentence, message)
        told |= strangers.keys()


def _describe(strangers: dict[str, list[str]]) -> str:
    return " or ".join(
        f"'{word}' (nearest: {', '.join(nearest)})" if nearest else f"'{word}'" for word, nearest in strangers.items()
    )


def _list(strangers: dict[str, list[str]], vocabulary: tuple[str, ...]) -> str:
    """All words, if spelling leads a stranger nowhere and they are few."""
    words = [word for word in vocabulary if word.isalpha()]
    if all(strangers.values()) or len(words) > 200:
        return f"{len(words)} words"
    return f"{len(words)} words ({', '.join(words)})"
