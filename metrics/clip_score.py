"""How well pictures fit their prompts, by a model that embeds both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from metrics.text_image import TextImageModel

W = 100.0  # Hessel et al. 2021 have 2.5; text-to-3D papers and torchmetrics have 100


@dataclass(frozen=True)
class TextImageScore:
    """Of b pictures."""

    model: str
    clip_score: Float[Tensor, "b"]  # 0 to 100
    retrieved: Bool[Tensor, "b"]
    n_candidates: int


def score(
    model: TextImageModel, images: Float[Tensor, "b h w 3"], prompts: Sequence[str], candidates: Sequence[str]
) -> TextImageScore:
    """prompts: one for each picture; candidates: the captions that R-precision chooses from; they hold all prompts."""
    own = torch.tensor([list(candidates).index(prompt) for prompt in prompts])
    texts = model.embed_texts(list(candidates))
    cosine = model.embed_images(images) @ texts.T
    own = own.to(cosine.device)
    return TextImageScore(model.name, _scores(_own(cosine, own)), first_ranked(cosine, own), len(candidates))


def clip_scores(model: TextImageModel, images: Float[Tensor, "b h w 3"], prompts: Sequence[str]) -> Float[Tensor, "b"]:
    """w max(cos, 0) of each picture with its own prompt, w = 100 (Hessel et al. 2021, CLIP-S, with another w)."""
    different = list(dict.fromkeys(prompts))
    texts = model.embed_texts(different)[[different.index(prompt) for prompt in prompts]]
    return _scores((model.embed_images(images) * texts).sum(dim=-1))


def first_ranked(cosine: Float[Tensor, "b n"], own: Int[Tensor, "b"]) -> Bool[Tensor, "b"]:
    """Whether a picture's own caption is nearer than each of the others (a tie is not): its mean is the R-precision
    at 1 of Park et al. 2021, which DreamFields (Jain et al. 2022) took to 3D."""
    others = cosine.scatter(1, own[:, None], -torch.inf).amax(dim=1)
    return _own(cosine, own) > others


def _own(cosine: Float[Tensor, "b n"], own: Int[Tensor, "b"]) -> Float[Tensor, "b"]:
    return cosine.gather(1, own[:, None])[:, 0]


def _scores(cosine: Float[Tensor, "b"]) -> Float[Tensor, "b"]:
    return W * cosine.clamp(min=0)
