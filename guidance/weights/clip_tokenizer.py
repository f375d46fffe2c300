"""CLIP's byte pairs, also for checkpoints in one file, which hold no tokenizer."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor
from transformers import CLIPTokenizer

MERGES = Path(__file__).resolve().parents[2] / "assets" / "clip_tokenizer" / "merges.txt"
START, END = "<|startoftext|>", "<|endoftext|>"
QUOTES = str.maketrans("‘’“”", "''\"\"")


class BytePairs:
    """Prompts to token ids of one length, by a tokenizer of transformers: [start, pairs, end, padding ...].

    Where that pads with "!", as those of Stable Diffusion 2 do, it also takes each "!" of a sentence for padding and
    its neighbours apart from it; the original does not, and this does as the original. Typographic quotes and HTML's
    entities are read as what they stand for, as the original does, too.

    padding: what to pad with, if not with what the tokenizer does.
    """

    words: tuple[str, ...] = ()  # it reads anything

    def __init__(self, clip: CLIPTokenizer, padding: int | None = None) -> None:
        self._padding = clip.pad_token_id if padding is None else padding
        self._clip = clip if clip.pad_token == clip.eos_token else _padding_with(clip, clip.eos_token)
        self.end: int = clip.eos_token_id

    def __call__(self, texts: Sequence[str]) -> Int[Tensor, "b l"]:
        texts = [_plain(text) for text in texts]
        found = self._clip(texts, padding="max_length", truncation=True, return_tensors="pt")
        return torch.where(found.attention_mask.bool(), found.input_ids, self._padding)

    def tokens(self, text: str) -> list[int]:
        """Without start, end and padding."""
        return self._clip(_plain(text), add_special_tokens=False).input_ids

    def save(self, folder: Path) -> None:
        """As a tokenizer of transformers that pads as this one does."""
        _padding_with(self._clip, self._clip.convert_ids_to_tokens(self._padding)).save_pretrained(folder)

    def __len__(self) -> int:
        return len(self._clip)


def clip_tokenizer(pads_with_zero: bool, length: int = 77) -> CLIPTokenizer:
    """pads_with_zero: as OpenCLIP does, with token 0, which is "!"; OpenAI's CLIP pads with the end of the text."""
    merges = [(first, second) for first, second in (line.split(" ") for line in _lines())]
    symbols = byte_symbols()
    tokens = [*symbols, *(symbol + "</w>" for symbol in symbols), *map("".join, merges), START, END]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    return CLIPTokenizer(
        vocab=vocabulary, merges=merges, model_max_length=length, pad_token=tokens[0] if pads_with_zero else END
    )


def byte_symbols() -> list[str]:
    """A visible character for each byte, in CLIP's order: visible bytes, then the 68 others as those from 256 on."""
    visible = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = 256 - len(visible)
    return [chr(byte) for byte in visible] + [chr(256 + i) for i in range(others)]


def _plain(text: str) -> str:
    return html.unescape(html.unescape(text)).translate(QUOTES)


def _padding_with(clip: CLIPTokenizer, token: str) -> CLIPTokenizer:
    pairs = json.loads(clip.backend_tokenizer.to_str())["model"]
    merges = [(first, second) for first, second in pairs["merges"]]
    return CLIPTokenizer(vocab=pairs["vocab"], merges=merges, model_max_length=clip.model_max_length, pad_token=token)


def _lines() -> list[str]:
    return MERGES.read_text(encoding="utf-8").split("\n")[:-1]
