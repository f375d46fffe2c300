"""Whether images show the subject of given pictures: DreamBooth's subject fidelity."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from metrics.features import FeatureNetwork


@runtime_checkable
class ImageEmbedder(Protocol):
    """A CLIP model is one. Its name belongs into the metric's: `identity_<name>`."""

    name: str

    def embed_images(self, images: Float[Tensor, "b h w 3"]) -> Float[Tensor, "b d"]:
        """Of length 1; colours in [0, 1]."""
        ...


class FeatureEmbedder:
    """The features of a network, by their direction alone."""

    def __init__(self, network: FeatureNetwork) -> None:
        self.name = network.name
        self._network = network

    def embed_images(self, images: Float[Tensor, "b h w 3"]) -> Float[Tensor, "b d"]:
        return normalize(self._network(images).pooled, dim=1)


def identity(
    images: Float[Tensor, "b h w 3"], references: Float[Tensor, "n y x 3"], embedder: ImageEmbedder
) -> Float[Tensor, "b"]:
    """Mean cosine of each image with all reference pictures; its mean is DINO or CLIP-I of Ruiz et al. 2022, by the
    network that embeds. A back that no picture shows lowers it: compare at equal cameras."""
    return (embedder.embed_images(images) @ embedder.embed_images(references).T).mean(dim=1)


def likeness(references: Float[Tensor, "n h w 3"], embedder: ImageEmbedder) -> float:
    """Mean cosine among two or more reference pictures, each with the others: what a perfect subject scores."""
    cosines = (embedded := embedder.embed_images(references)) @ embedded.T
    n = len(references)
    assert n >= 2, "one picture resembles no other"
    return ((cosines.sum() - torch.trace(cosines)) / (n * (n - 1))).item()
