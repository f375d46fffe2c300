"""Pictures and sentences in one space: what CLIP scores, R-precision and P(front) are computed from."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from data.errors import UserError


class UnknownWordsError(UserError):
    """A model with few words was asked about others: any number would be a wrong one."""


@runtime_checkable
class TextImageModel(Protocol):
    """Both embeddings have length 1, so that their product is the cosine of the angle between them."""

    name: str  # becomes part of the name of every figure that comes of it
    logit_scale: float  # by which it was trained to multiply cosines before a softmax over sentences

    def embed_images(self, images: Float[Tensor, "b h w 3"]) -> Float[Tensor, "b d"]:
        """images: in [0, 1], of any size."""
        ...

    def embed_texts(self, texts: list[str]) -> Float[Tensor, "n d"]:
        """UnknownWordsError if it cannot read one of them."""
        ...
