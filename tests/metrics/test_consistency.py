import math
from pathlib import Path

import pytest
import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import functional_call
from torchvision.models import alexnet

from data.errors import UserError
from metrics.consistency import FeatureDistance, Lpips, neighbour_distances, unit_difference


class MeanSquare:
    name = "mean_square"

    def __call__(self, a: Float[Tensor, "b h w 3"], b: Float[Tensor, "b h w 3"]) -> Float[Tensor, "b"]:
        return (a - b).square().mean(dim=(1, 2, 3))


class Pixels:
    """Sees the picture, and the picture brighter."""

    name = "pixels"

    def spatial(self, images: Float[Tensor, "b h w 3"]) -> list[Float[Tensor, "b 3 h w"]]:
        return [images.movedim(-1, 1), 5 * images.movedim(-1, 1)]


def grey(*values: float) -> Float[Tensor, "v 4 4 3"]:
    return torch.tensor(values)[:, None, None, None].expand(-1, 4, 4, 3)


def test_a_turntable_of_equal_views_does_not_change() -> None:
    assert neighbour_distances(grey(0.5, 0.5, 0.5), MeanSquare()).tolist() == [0, 0, 0]


def test_the_last_view_is_the_firsts_neighbour() -> None:
    assert neighbour_distances(grey(0.0, 0.0, 1.0), MeanSquare()).tolist() == [0, 1, 1]


def test_features_at_an_angle_differ_by_its_chord() -> None:
    """|u - w|^2 = 2 - 2 cos."""
    a = torch.tensor([3.0, 0.0]).view(1, 2, 1, 1).expand(1, 2, 5, 5)
    b = torch.tensor([math.cos(1), math.sin(1)]).view(1, 2, 1, 1).expand(1, 2, 5, 5)
    assert unit_difference(a, b).item() == pytest.approx(2 - 2 * math.cos(1))


def test_opposite_features_differ_by_4_and_missing_ones_by_1() -> None:
    a = torch.ones(1, 3, 2, 2)
    assert unit_difference(a, -a).item() == pytest.approx(4)
    assert unit_difference(a, torch.zeros_like(a)).item() == pytest.approx(1)


def test_the_feature_distance_is_the_mean_of_its_layers() -> None:
    red, green = torch.zeros(2, 1, 4, 4, 3)
    red[..., 0], green[..., 1] = 0.5, 0.9
    distance = FeatureDistance(Pixels())
    assert distance(red, green).tolist() == [2]
    assert distance.name == "feature_distance_pixels"


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    """AlexNet's, made up."""
    with torch.device("meta"):
        layers = alexnet().features.state_dict()
    rng = torch.Generator().manual_seed(0)
    return {f"features.{name}": 0.05 * torch.randn(value.shape, generator=rng) for name, value in layers.items()}


@pytest.fixture
def lpips(weights: dict[str, Tensor], tmp_path: Path) -> Lpips:
    torch.save(weights, tmp_path / "alexnet.pth")
    return Lpips(str(tmp_path / "alexnet.pth"))


def test_lpips_sees_what_the_given_alexnet_sees(lpips: Lpips, weights: dict[str, Tensor], rng: torch.Generator) -> None:
    images = torch.rand(1, 3, 64, 64, generator=rng)
    with torch.device("meta"):
        last = alexnet().features[:12]
    named = {name.removeprefix("features."): value for name, value in weights.items()}
    assert torch.equal(lpips._network.net(images).relu5, functional_call(last, named, images))


def test_lpips_of_an_image_and_itself_is_0_and_of_others_above(lpips: Lpips, rng: torch.Generator) -> None:
    a, b = torch.rand(2, 2, 64, 64, 3, generator=rng)
    assert lpips(a, a).tolist() == [0, 0]
    assert (lpips(a, b) > 0).all()
    torch.testing.assert_close(lpips(a, b), lpips(b, a))


def test_lpips_is_the_packages_for_colours_from_minus_1_to_1(lpips: Lpips, rng: torch.Generator) -> None:
    a, b = torch.rand(2, 1, 64, 64, 3, generator=rng)
    wanted = lpips._network(2 * a.movedim(-1, 1) - 1, 2 * b.movedim(-1, 1) - 1)
    torch.testing.assert_close(lpips(a, b), wanted.flatten())


def test_lpips_refuses_the_weights_of_another_network(tmp_path: Path) -> None:
    torch.save({"features.0.weight": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match=r"distance.path=.*other.pth holds other weights; .*AlexNet"):
        Lpips(str(tmp_path / "other.pth"))


def test_lpips_says_which_file_is_missing() -> None:
    with pytest.raises(UserError, match=r"distance.path=/nowhere.pth is no file; it should be torchvision's AlexNet"):
        Lpips("/nowhere.pth")
