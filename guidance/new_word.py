"""Whether a word can be given a new meaning: the name of a subject. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Collection

from data.errors import UserError
from data.words import words_of

RARE_FROM = 0.8  # of byte pairs, which are in the order of their frequency: the rarest fifth
EXAMPLE = "say a word that means nothing yet, for instance subject.token=sks"


def check_new_word(word: str, vocabulary: Collection[str]) -> None:
    """UserError unless it is one word, in the letters of a listed vocabulary, and not yet in that."""
    if words_of(word) != [word] or not word.isalnum():
        raise UserError(f'subject.token="{word}" is not one word of small letters and digits: {EXAMPLE}')
    if word in vocabulary:
        raise UserError(f"subject.token={word} is a word that the prior has learned already: {EXAMPLE}")


def check_rare(word: str, tokens: list[int], n_tokens: int) -> None:
    """UserError unless a tokenizer of byte pairs has one token for it, and that a rare one: what is said often means
    something already."""
    if len(tokens) != 1:
        raise UserError(f'subject.token="{word}" is {len(tokens)} tokens to the prior, not one: {EXAMPLE}')
    if tokens[0] < RARE_FROM * n_tokens:
        raise UserError(f"subject.token={word} is a word that the prior has met often: {EXAMPLE}")
