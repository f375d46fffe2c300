"""Sentences' embeddings, kept on disk."""

from __future__ import annotations

import hashlib
import logging
import os
import uuid
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from guidance.prior import TextPrior

log = logging.getLogger(__name__)


def encode_cached(prior: TextPrior, texts: list[str], cache_dir: Path) -> Float[Tensor, "b l d"]:
    """`prior.encode_text`, each sentence remembered on disk; all that are new are encoded at once."""
    facts = {text: {"sentence": text, "encoder": prior.text_fingerprint} for text in texts}
    files = {text: cache_dir / f"{_hash(of)}.safetensors" for text, of in facts.items()}
    known = {text: stored for text, file in files.items() if (stored := _read(file, facts[text])) is not None}
    if new := [text for text in files if text not in known]:
        known |= zip(new, prior.encode_text(new).cpu(), strict=True)
    try:
        for text in new:
            _write_whole(files[text], known[text], facts[text])
    except (OSError, SafetensorError) as error:
        log.warning("prompt_processor.cache_dir=%s: embeddings are not kept (%s)", cache_dir, error)
    return torch.stack([known[text] for text in texts]).to(prior.alphas_cumprod.device)


def _hash(facts: dict[str, str]) -> str:
    return hashlib.sha256(repr(sorted(facts.items())).encode()).hexdigest()


def _read(file: Path, facts: dict[str, str]) -> Float[Tensor, "l d"] | None:
    """None for what is not there, not whole, or not of these facts: it is made again."""
    try:
        if not file.exists():
            return None
        with safe_open(file, framework="pt") as stored:
            if stored.metadata() == facts:
                return stored.get_tensor("text").clone()
        reason = "it is of something else"
    except (OSError, SafetensorError) as error:
        reason = str(error)
    log.warning("%s cannot be used and is made again (%s)", file, reason)
    return None


def _write_whole(file: Path, text: Float[Tensor, "l d"], facts: dict[str, str]) -> None:
    """Under a name of its own first, so that a run beside this one, on whatever host, never reads half a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(f".{uuid.uuid4().hex}")
    try:
        save_file({"text": text.contiguous()}, draft, metadata=facts)
        os.replace(draft, file)
    finally:
        draft.unlink(missing_ok=True)
