"""Sentences' embeddings, kept on disk."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor

from data.whole_file import whole
from guidance.prior import TextPrior

log = logging.getLogger(__name__)


def encode_cached(prior: TextPrior, texts: list[str], cache_dir: Path) -> Float[Tensor, "b l d"]:
    """`prior.encode_text`, each sentence remembered on disk under a hash of it and of the text encoder; all that are
    new are encoded at once."""
    keys = {text: hashlib.sha256(repr((text, prior.text_fingerprint)).encode()).hexdigest() for text in texts}
    known = {text: stored for text, key in keys.items() if (stored := _read(cache_dir, key)) is not None}
    if new := [text for text in keys if text not in known]:
        known |= zip(new, prior.encode_text(new).cpu(), strict=True)
    try:
        for text in new:
            _write_whole(cache_dir, keys[text], known[text])
    except (OSError, SafetensorError) as error:
        log.warning("prompt_processor.cache_dir=%s: embeddings are not kept (%s)", cache_dir, error)
    return torch.stack([known[text] for text in texts]).to(prior.alphas_cumprod.device)


def _read(cache_dir: Path, key: str) -> Float[Tensor, "l d"] | None:
    """None for what is not there, not whole, or of something else: it is made again. Opened only once, because a run
    beside this one may replace the file."""
    file = _file(cache_dir, key)
    try:
        return load(file.read_bytes())[key]
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, SafetensorError, KeyError) as error:
        log.warning("%s cannot be used and is made again (%r)", file, error)
        return None


def _write_whole(cache_dir: Path, key: str, text: Float[Tensor, "l d"]) -> None:
    cache_dir.mkdir(parents=True, exist_ok=True)
    with whole(_file(cache_dir, key)) as draft:
        save_file({key: text.contiguous()}, draft)


def _file(cache_dir: Path, key: str) -> Path:
    return cache_dir / f"{key}.safetensors"
