import math

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from metrics.features import Features
from metrics.identity import FeatureEmbedder, ImageEmbedder, identity, likeness


class MeanColour:
    name, n_features, n_classes = "mean_colour", 3, 3

    def __call__(self, images: Float[Tensor, "b h w 3"]) -> Features:
        pooled = images.mean(dim=(1, 2))
        return Features(pooled, pooled)


EMBEDDER = FeatureEmbedder(MeanColour())


def plain(*colours: tuple[float, float, float], size: int = 4) -> Float[Tensor, "b size size 3"]:
    return torch.tensor(colours)[:, None, None].expand(-1, size, size, 3)


def test_a_feature_network_becomes_an_embedder_of_its_name() -> None:
    assert isinstance(EMBEDDER, ImageEmbedder) and EMBEDDER.name == "mean_colour"
    torch.testing.assert_close(EMBEDDER.embed_images(plain((0.0, 0.3, 0.4))), torch.tensor([[0.0, 0.6, 0.8]]))


def test_the_subject_itself_scores_1_in_any_light() -> None:
    bright, dark = plain((0.2, 0.4, 0.8)), plain((0.1, 0.2, 0.4), size=8)
    assert identity(bright, dark, EMBEDDER).item() == pytest.approx(1)


def test_each_image_has_its_mean_cosine_with_all_references() -> None:
    """Red with red and green: (1 + 0) / 2; orange with each: cos 45 degrees."""
    images, references = plain((1.0, 0, 0), (0.5, 0.5, 0)), plain((1.0, 0, 0), (0, 1.0, 0))
    assert identity(images, references, EMBEDDER).tolist() == pytest.approx([0.5, math.sqrt(0.5)])


def test_the_likeness_of_references_leaves_out_each_with_itself() -> None:
    """Red, red, green: one pair of three is alike."""
    assert likeness(plain((1.0, 0, 0), (0.5, 0, 0), (0, 1.0, 0)), EMBEDDER) == pytest.approx(1 / 3)
