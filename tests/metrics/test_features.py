import sys
from pathlib import Path

import pytest
import torch
from jaxtyping import Float
from skimage import data
from torch import Tensor

from data.errors import UserError
from metrics.features import EfficientNetLite0, FeatureNetwork, Inception

CATS, ESPRESSO = {281, 282, 285}, {967}  # tabby, tiger cat, Egyptian cat


@pytest.fixture(scope="module")
def network() -> EfficientNetLite0:
    return EfficientNetLite0()


def photo(name: str) -> Float[Tensor, "1 s s 3"]:
    """Its middle square."""
    image = torch.from_numpy(getattr(data, name)()).float()[None] / 255
    side, start = image.shape[1], (image.shape[2] - image.shape[1]) // 2
    return image[:, :, start : start + side]


@pytest.mark.parametrize(("name", "classes", "sure"), [("chelsea", CATS, 0.85), ("coffee", ESPRESSO, 0.9)])
def test_it_knows_a_cat_and_a_cup_of_coffee(
    network: EfficientNetLite0, name: str, classes: set[int], sure: float
) -> None:
    """As sure as only the colours of its training make it: by ImageNet's mean and spread it is 0.84 sure of both."""
    probabilities = network(photo(name)).logits.softmax(dim=1)[0]
    assert probabilities[list(classes)].sum() > sure


def test_stripes_finer_than_its_pixels_are_grey_to_it(network: EfficientNetLite0) -> None:
    """Four pixels become one; the two in the middle, which bilinear interpolation alone would take, are white."""
    stripes = torch.tensor([0.0, 1.0, 1.0, 0.0]).repeat(224)[None, None, :, None].expand(1, 896, 896, 3)
    seen, grey, white = (network(x).pooled for x in (stripes, torch.full_like(stripes, 0.5), torch.ones_like(stripes)))
    assert (seen - grey).norm() < 0.1 * (seen - white).norm()


def test_its_features_have_the_shape_it_says(network: EfficientNetLite0, rng: torch.Generator) -> None:
    assert isinstance(network, FeatureNetwork)
    seen = network(torch.rand(2, 64, 64, 3, generator=rng))
    assert seen.pooled.shape == (2, network.n_features) and seen.logits.shape == (2, network.n_classes)


def test_an_image_is_seen_alike_twice_and_in_any_company(network: EfficientNetLite0, rng: torch.Generator) -> None:
    images = torch.rand(3, 64, 64, 3, generator=rng)
    assert torch.equal(network(images).pooled, network(images).pooled)
    torch.testing.assert_close(network(images[1:2]).pooled, network(images).pooled[1:2], atol=1e-4, rtol=1e-4)


def test_its_spatial_features_halve_in_size(network: EfficientNetLite0, rng: torch.Generator) -> None:
    found = network.spatial(torch.rand(1, 64, 64, 3, generator=rng))
    assert [one.shape[2] for one in found] == [112, 56, 28, 14, 7]


def test_inception_without_torch_fidelity_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_fidelity.feature_extractor_inceptionv3", None)
    with pytest.raises(UserError, match=r"features.path=/there.pth .*pip install torch-fidelity==0.4.0"):
        Inception("/there.pth")


@pytest.fixture
def torch_fidelity() -> None:
    pytest.importorskip("torch_fidelity", reason="Inception needs pip install torch-fidelity==0.4.0")


@pytest.mark.parametrize("content", [None, b"<html>404</html>"])
def test_inception_names_the_file_that_it_cannot_read(
    torch_fidelity: None, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "inception.pth"
    if content:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"features.path=.*inception.pth .*github.com/toshas/torch-fidelity"):
        Inception(str(path))


def test_inception_refuses_other_weights(torch_fidelity: None, tmp_path: Path) -> None:
    torch.save({"layer.weight": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match="holds other weights"):
        Inception(str(tmp_path / "other.pth"))


def test_inception_sees_eight_bits(torch_fidelity: None, tmp_path: Path, rng: torch.Generator) -> None:
    """With made-up weights."""
    from torch_fidelity import feature_extractor_inceptionv3 as library

    with pytest.MonkeyPatch.context() as patch, torch.device("meta"):
        patch.setattr(library, "load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(library.FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        shapes = library.FeatureExtractorInceptionV3("", ["2048"]).state_dict()
    weights = {name: 0.05 * torch.rand(value.shape, generator=rng) for name, value in shapes.items()}
    torch.save(weights, tmp_path / "inception.pth")
    network, images = Inception(str(tmp_path / "inception.pth")), torch.rand(2, 64, 64, 3, generator=rng)
    seen, rounded = network(images), network((images * 255).round() / 255)
    assert isinstance(network, FeatureNetwork)
    assert seen.pooled.shape == (2, 2048) and seen.logits.shape == (2, 1008)
    assert torch.equal(seen.pooled, rounded.pooled)
