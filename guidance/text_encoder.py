"""Sentences to embeddings, with the tokenizer and the text tower in a prior's folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from guidance.tokenizer import WordTokenizer


class TextEncoder:
    """CLIP's last hidden states, of every token, padding included, as Stable Diffusion uses them; float32."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        self._tokenise = load_tokenizer(folder / "tokenizer")
        model = CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32, local_files_only=True)
        self._model = model.to(device).eval().requires_grad_(False)

    @torch.no_grad()
    def __call__(self, prompts: list[str]) -> Float[Tensor, "b l d"]:
        return self._model(self._tokenise(prompts).to(self._model.device)).last_hidden_state


def load_tokenizer(folder: Path) -> Callable[[list[str]], Tensor]:
    """Prompts to token ids of one length, by listed words or by CLIP's byte pairs, whichever the folder holds."""
    if (folder / "vocabulary.json").exists():
        return WordTokenizer.load(folder)
    clip = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
    return lambda prompts: clip(prompts, padding="max_length", truncation=True, return_tensors="pt").input_ids
