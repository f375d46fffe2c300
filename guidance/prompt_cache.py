"""Sentences' embeddings, kept on disk."""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path

from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from guidance.prior import TextPrior

log = logging.getLogger(__name__)


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
