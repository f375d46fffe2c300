"""Sentences to embeddings, with a tokenizer and a text tower."""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from guidance.tokenizer import Tokenizer, WordTokenizer
from guidance.weights.clip_tokenizer import BytePairs

log = logging.getLogger(__name__)


class TextEncoder:
    """CLIP's last hidden states, of every token, padding included, as Stable Diffusion uses them; float32."""

    def __init__(self, tokenizer: Tokenizer, model: CLIPTextModel) -> None:
        self.tokenizer = tokenizer
        self.model = model.eval().requires_grad_(False)

    @torch.no_grad()
    def __call__(self, prompts: list[str]) -> Float[Tensor, "b l d"]:
        ids = self.tokenizer(prompts)
        longer = self.tokenizer([f"{prompt} a" for prompt in prompts])
        for prompt, is_full in zip(prompts, (ids == longer).all(dim=1).tolist(), strict=True):
            if is_full:
                log.warning('"%s": the prior reads %d tokens; what comes after is cut', prompt, ids.shape[1])
        return self.model(ids.to(self.model.device)).last_hidden_state


def load_text_encoder(folder: Path, device: torch.device) -> TextEncoder:
    """From a prior's folder."""
    model = CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32, local_files_only=True)
    tokenizer = load_tokenizer(folder / "tokenizer")
    if isinstance(tokenizer, WordTokenizer):
        _check_room(tokenizer, model)
    return TextEncoder(tokenizer, model.to(device))


def _check_room(tokenizer: WordTokenizer, model: CLIPTextModel) -> None:
    places, rows = model.config.max_position_embeddings, model.config.vocab_size
    if tokenizer.length > places:
        raise ValueError(f"its tokenizer says {tokenizer.length} tokens, of which the text encoder reads {places}")
    if len(tokenizer) > rows:
        raise ValueError(f"its tokenizer has {len(tokenizer)} tokens, of which the text encoder knows {rows}")


def load_tokenizer(folder: Path) -> Tokenizer:
    """Prompts to token ids of one length, by listed words or by CLIP's byte pairs, whichever the folder holds."""
    if (folder / "vocabulary.json").exists():
        return WordTokenizer.load(folder)
    return BytePairs(CLIPTokenizer.from_pretrained(folder, local_files_only=True))
