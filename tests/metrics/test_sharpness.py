import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from metrics.sharpness import sharpness


def edge(width: int, contrast: float = 0.8) -> Float[Tensor, "1 48 48 3"]:
    """A vertical edge in the middle that takes `width` steps from dark to bright."""
    ramp = ((torch.arange(48) - 24 + width // 2 + 1) / width).clamp(0, 1) * contrast
    return ramp[None, None, :, None].expand(1, 48, 48, 3)


def test_the_truth_is_as_sharp_as_itself() -> None:
    assert sharpness(edge(1), edge(1)) == pytest.approx(1)


@pytest.mark.parametrize("width", [2, 3, 4])
def test_an_edge_w_pixels_wide_is_1_over_w_as_sharp(width: int) -> None:
    assert sharpness(edge(width), edge(1)) == pytest.approx(1 / width)


def test_half_the_contrast_is_a_quarter() -> None:
    assert sharpness(edge(1, 0.4), edge(1, 0.8)) == pytest.approx(0.25)


def test_noise_where_no_edge_belongs_counts_for_nothing(rng: torch.Generator) -> None:
    noisy = edge(1).clone()
    noisy[:, :, :12] = torch.rand(1, 48, 12, 3, generator=rng)
    assert sharpness(noisy, edge(1)) == pytest.approx(1)


def test_a_grey_picture_has_no_edges() -> None:
    assert sharpness(torch.full((1, 48, 48, 3), 0.5), edge(1)) == 0
    assert sharpness(edge(1), torch.zeros(1, 48, 48, 3)) == 0
