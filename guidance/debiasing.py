"""Prompt debiasing (Hong et al. 2023): words that speak for one view are left out of the sentences of the others."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from data.errors import UserError

VIEWS = ("side", "front", "back", "overhead")  # in the order of data/directions.py
LEAST = 0.95
log = logging.getLogger(__name__)


def without_biased_words(prompt: str, views_of: Callable[[str], Float[Tensor, "4"]]) -> list[str]:
    """For each of VIEWS, the prompt without the words that make this view less likely.

    `views_of` a prompt is p(view | prompt). A word goes where p / (p_without / 2 + p / 2) < LEAST; never all of them.
    """
    words = prompt.split()
    kept: list[list[str]] = [[] for _ in VIEWS]
    full = views_of(prompt)
    for i, word in enumerate(words):
        ratio = full / torch.lerp(views_of(" ".join(words[:i] + words[i + 1 :])), full, 0.5)
        for sentence, speaks_against in zip(kept, (ratio < LEAST).tolist(), strict=True):
            if not speaks_against:
                sentence.append(word)
    debiased = [" ".join(sentence) or prompt for sentence in kept]
    for view, text in zip(VIEWS, debiased, strict=True):
        log.info('Debiased prompt of the %s view: "%s"', view, text)
    return debiased


class MaskedLanguageModel:
    """p(view | prompt) by a model of BERT's kind, from a folder in transformers' layout."""

    def __init__(self, path: str) -> None:
        folder = Path(path).expanduser()
        if not folder.is_dir():
            raise UserError(f"debias_model={path}: there is no such folder; say the path of a BERT, or null for none")
        from transformers import AutoModelForMaskedLM, AutoTokenizer

        try:
            offline = {"local_files_only": True, "trust_remote_code": False}
            self._tokenizer = AutoTokenizer.from_pretrained(folder, **offline)
            self._model = AutoModelForMaskedLM.from_pretrained(folder, **offline).eval()
        except Exception as error:  # of a damaged folder, transformers raises whatever it pleases
            reason = (str(error) or repr(error)).splitlines()[0]
            raise UserError(
                f"debias_model={path} is no masked language model ({reason}); say another, or null"
            ) from error
        self._views = self._tokenizer.convert_tokens_to_ids(list(VIEWS))
        if self._tokenizer.unk_token_id in self._views or self._tokenizer.mask_token is None:
            raise UserError(f"debias_model={path} has no mask, or no word for {', '.join(VIEWS)}; say another, or null")

    @torch.no_grad()
    def __call__(self, prompt: str) -> Float[Tensor, "4"]:
        sentence = f"This image is depicting a {self._tokenizer.mask_token} view of {prompt}"
        tokens = self._tokenizer(sentence, truncation=True, return_tensors="pt")
        [where] = (tokens.input_ids[0] == self._tokenizer.mask_token_id).nonzero()
        return self._model(**tokens).logits[0, where.item(), self._views].softmax(dim=-1)
