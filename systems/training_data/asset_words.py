"""The words of a prior that is trained on rendered 3D files, too: those of the toybox, and those of their captions."""

from __future__ import annotations

from collections import Counter

from data.directions import DIRECTIONS
from data.ranges import PositiveInt
from data.shards import Shards
from data.toybox.captions import VIEW, VOCABULARY, known_words
from data.toybox.grammar import KINDS
from data.words import words_of
from guidance.tokenizer import WordTokenizer

SAID_OF_VIEWS = {*DIRECTIONS, VIEW}  # in no caption of an object


def asset_tokenizer(path: str, n_kinds: PositiveInt = 32, min_count: PositiveInt = 2) -> WordTokenizer:
    """The toybox's words first, so that trained embeddings keep their places; then the words that are said so many
    times in captions of the shards' training split. All others, and those of held-out objects, stay unknown.
    """
    shards = Shards(path, key="shards")
    captions = {shards.name(i): shards.captions(i) for i in range(len(shards))}
    counts = Counter(word for said in captions.values() for text in said for word in words_of(text))
    said = sorted(word for word, count in counts.items() if count >= min_count)
    toys = [word for word in known_words(list(KINDS)[:n_kinds]) if word not in SAID_OF_VIEWS]
    words = dict.fromkeys((*VOCABULARY, *said))
    return WordTokenizer(tuple(words), known=[word for word in words if word in {*toys, *said}])
