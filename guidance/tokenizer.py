"""The word tokenizer of the mini prior: a listed vocabulary, one token a word."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Int
from torch import Tensor

from data.reading import read_json
from data.words import words_of

PAD, BOS, EOS, UNKNOWN = range(4)
LENGTH = 24  # tokens of a sentence
SHORTEST = 3  # its begin, a word and its end


@runtime_checkable
class Tokenizer(Protocol):
    """[begin, the sentence's tokens, end, padding ...]; what training needs of any."""

    words: tuple[str, ...]  # those that it lists; none if it reads anything
    end: int

    def __call__(self, texts: Sequence[str]) -> Int[Tensor, "b l"]: ...

    def tokens(self, text: str) -> list[int]:
        """Without begin, end and padding."""
        ...

    def save(self, folder: Path) -> None: ...


class WordTokenizer:
    """Lower-case words and commas; [BOS, words, EOS, PAD ...], longer sentences are cut.

    words: those that have a token of their own.
    known: those of them that the prior has learned (None: all), see guidance/vocabulary.py.
    """

    end = EOS

    def __init__(self, words: Sequence[str], length: int = LENGTH, known: Sequence[str] | None = None) -> None:
        self.words, self.length = tuple(words), length
        self.known = None if known is None else tuple(known)
        self._id = {word: UNKNOWN + 1 + i for i, word in enumerate(self.words)}

    def __len__(self) -> int:
        return UNKNOWN + 1 + len(self.words)

    def __call__(self, texts: Sequence[str]) -> Int[Tensor, "b l"]:
        ids = torch.full((len(texts), self.length), PAD)
        for row, text in zip(ids, texts, strict=True):
            tokens = [BOS, *self.tokens(text)[: self.length - 2], EOS]
            row[: len(tokens)] = torch.tensor(tokens)
        return ids

    def tokens(self, text: str) -> list[int]:
        """Of the words alone."""
        return [self._id.get(word, UNKNOWN) for word in words_of(text)]

    def with_word(self, word: str) -> WordTokenizer:
        """One that knows a word more; the tokens of the others stay."""
        return WordTokenizer((*self.words, word), self.length, None if self.known is None else (*self.known, word))

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        known = {} if self.known is None else {"known": self.known}
        text = json.dumps({"words": self.words, "length": self.length, **known}, indent=1)
        (folder / "vocabulary.json").write_text(text + "\n")

    @classmethod
    def load(cls, folder: Path) -> WordTokenizer:
        """Raises ValueError with what is wrong with its file."""
        said = read_json(folder / "vocabulary.json")
        words, length, known = said.get("words"), said.get("length", LENGTH), said.get("known")
        texts = [one for one in (words, known) if one is not None]
        if words is None or not all(isinstance(one, list) and all(isinstance(w, str) for w in one) for one in texts):
            raise ValueError("vocabulary.json holds no list of words")
        if type(length) is not int or length < SHORTEST:
            raise ValueError(f"vocabulary.json says that its sentences have {length!r} tokens")
        return cls(words, length, known)


def append(ids: Int[Tensor, "b l"], words: Int[Tensor, "b k"], end_token: int) -> Int[Tensor, "b l"]:
    """Sentences with more words after their last one; those without room for them stay as they are. end_token: what
    each has after its words, and what may pad it, too."""
    length, extra = ids.shape[1], words.shape[1]
    end = (ids == end_token).long().argmax(dim=1, keepdim=True)
    tail = torch.cat([words, torch.full_like(words[:, :1], end_token)], dim=1)
    where = (end + torch.arange(extra + 1, device=ids.device)).clamp(max=length - 1)
    return torch.where(end + extra < length, ids.scatter(1, where, tail), ids)
