"""The word tokenizer of the mini prior: a listed vocabulary, one token a word."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from data.words import words_of

PAD, BOS, EOS, UNKNOWN = range(4)


class WordTokenizer:
    """Lower-case words and commas; [BOS, words, EOS, PAD ...], longer sentences are cut.

    words: those that have a token of their own.
    known: those of them that the prior has learned (None: all), see guidance/vocabulary.py.
    """

    def __init__(self, words: Sequence[str], length: int = 24, known: Sequence[str] | None = None) -> None:
        self.words, self.length = tuple(words), length
        self.known = None if known is None else tuple(known)
        self._id = {word: UNKNOWN + 1 + i for i, word in enumerate(self.words)}

    def __len__(self) -> int:
        return UNKNOWN + 1 + len(self.words)

    def __call__(self, texts: Sequence[str]) -> Int[Tensor, "b l"]:
        ids = torch.full((len(texts), self.length), PAD)
        for row, text in zip(ids, texts, strict=True):
            words = [self._id.get(word, UNKNOWN) for word in words_of(text)]
            tokens = [BOS, *words[: self.length - 2], EOS]
            row[: len(tokens)] = torch.tensor(tokens)
        return ids

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        known = {} if self.known is None else {"known": self.known}
        text = json.dumps({"words": self.words, "length": self.length, **known}, indent=1)
        (folder / "vocabulary.json").write_text(text + "\n")

    @classmethod
    def load(cls, folder: Path) -> WordTokenizer:
        return cls(**json.loads((folder / "vocabulary.json").read_text()))
