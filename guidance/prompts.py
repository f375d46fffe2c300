"""A prompt to the conditions of each rendered view."""

from __future__ import annotations

import hashlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from data.cameras import Cameras
from data.cameras import condition as camera_condition
from guidance.prior import Condition, TextPrior
from guidance.vocabulary import check_words

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PromptEmbeddings:
    positive: Float[Tensor, "1 l d"]
    negative: Float[Tensor, "1 l d"]
    multi_view: bool

    def at(self, cameras: Cameras) -> tuple[Condition, Condition]:
        """With and without the text, one per camera; the camera stays in both, so that guidance acts on the text."""
        camera = camera_condition(cameras) if self.multi_view else None
        shape = (len(cameras), -1, -1)
        return Condition(self.positive.expand(shape), camera), Condition(self.negative.expand(shape), camera)


class PromptProcessor:
    """The same words for every view.

    suffix: appended; the embedded priors and MVDream have learned that ", 3d asset" means a rendered object.
    unknown: what to do about words that the prior has not learned.
    cache_dir: where embeddings are kept between runs, so that the text encoder need not be loaded.
    """

    def __init__(
        self,
        prompt: str,
        negative_prompt: str = "",
        suffix: str = ", 3d asset",
        unknown: Literal["error", "warn"] = "error",
        cache_dir: str = "~/.cache/fourview/prompts",
    ) -> None:
        self.prompt = prompt
        self.negative_prompt = negative_prompt
        self.suffix = suffix
        self.unknown = unknown
        self.cache_dir = Path(cache_dir).expanduser()

    def __call__(self, prior: TextPrior) -> PromptEmbeddings:
        texts = [self.prompt + self.suffix, self.negative_prompt]
        for text in texts:
            check_words(text, prior.vocabulary, self.unknown)
        positive, negative = encode_cached(prior, texts, self.cache_dir).split(1)
        return PromptEmbeddings(positive, negative, multi_view=prior.n_view > 1)


def encode_cached(prior: TextPrior, texts: list[str], cache_dir: Path) -> Float[Tensor, "b l d"]:
    """`prior.encode_text`, remembered on disk under a hash of the texts and of the text encoder's files."""
    key = hashlib.sha256(repr((texts, prior.text_fingerprint)).encode()).hexdigest()
    file = cache_dir / f"{key}.safetensors"
    if file.exists():
        return load_file(file)["text"].to(prior.alphas_cumprod.device)
    text = prior.encode_text(texts)
    try:
        _write_whole(file, text)
    except (OSError, SafetensorError) as error:
        log.warning("prompt_processor.cache_dir=%s: embeddings are not kept (%s)", cache_dir, error)
    return text


def _write_whole(file: Path, text: Float[Tensor, "b l d"]) -> None:
    """Under another name first, so that a run beside this one never reads half a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(f".{os.getpid()}")
    save_file({"text": text.cpu().contiguous()}, draft)
    os.replace(draft, file)
