"""How much an object changes from one view to the next: a wobble or a jump shows between neighbours of a turntable."""

from __future__ import annotations

import warnings
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from data.errors import UserError
from metrics.features import EfficientNetLite0
from metrics.weights import load_weights

ALEXNET_FILE = "torchvision's AlexNet, alexnet-owt-7be5be79.pth of download.pytorch.org/models"


@runtime_checkable
class ImageDistance(Protocol):
    name: str

    def __call__(self, a: Float[Tensor, "b h w 3"], b: Float[Tensor, "b h w 3"]) -> Float[Tensor, "b"]:
        """Of each image of a to its partner in b; colours in [0, 1]."""
        ...


@runtime_checkable
class SpatialNetwork(Protocol):
    name: str

    def spatial(self, images: Float[Tensor, "b h w 3"]) -> list[Float[Tensor, "b c y x"]]: ...


def neighbour_distances(views: Float[Tensor, "v h w 3"], distance: ImageDistance) -> Float[Tensor, "v"]:
    """Of each view of a closed turntable to the next, of the last to the first.

    Turning itself changes a picture: compare only turntables of as many views, and see what a true object has.
    """
    return distance(views, views.roll(-1, dims=0))


class Lpips:
    """Zhang et al. 2018, version 0.1: squared differences of AlexNet's features, weighed as people judged.

    path: the weights of AlexNet; the weighing comes with the package.
    """

    name = "lpips_alex"

    def __init__(self, path: str) -> None:
        import lpips

        weights = load_weights(path, "metric.distance.path", ALEXNET_FILE)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torchvision's, about the name of an argument that lpips gives it
            self._network = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False).requires_grad_(False)
        trunk = {_place(name): value for name, value in weights.items() if name.startswith("features.")}
        try:
            self._network.net.load_state_dict(trunk)
        except RuntimeError as error:
            raise UserError(f"metric.distance.path={path} holds other weights; it should be {ALEXNET_FILE}") from error

    def to(self, device: torch.device) -> None:
        self._network.to(device)

    @torch.no_grad()
    def __call__(self, a: Float[Tensor, "b h w 3"], b: Float[Tensor, "b h w 3"]) -> Float[Tensor, "b"]:
        return self._network(a.movedim(-1, 1), b.movedim(-1, 1), normalize=True).flatten()


def _place(name: str) -> str:
    """Where lpips keeps a layer of AlexNet: it cuts the network into slices after each ReLU."""
    index = int(name.split(".")[1])
    number = sum(index >= start for start in (0, 2, 5, 8, 10))
    return name.replace("features", f"slice{number}", 1)


class FeatureDistance:
    """LPIPS without what must be downloaded: the same differences of another network's features, none weighed more.

    Features of unit length at each pixel; squared differences summed over channels, mean over pixels and layers: from
    0 to 4. Not LPIPS, and not to be compared with it, whence the name. Where a picture is plain the least noise has a
    direction, and counts in full: noise of 0.02 over plain grey changes it more than views in random order.
    """

    def __init__(self, network: SpatialNetwork) -> None:
        self.name = f"feature_distance_{network.name}"
        self._network = network

    def __call__(self, a: Float[Tensor, "b h w 3"], b: Float[Tensor, "b h w 3"]) -> Float[Tensor, "b"]:
        layers = zip(self._network.spatial(a), self._network.spatial(b), strict=True)
        return torch.stack([unit_difference(one, other) for one, other in layers]).mean(dim=0)


def efficientnet_distance() -> FeatureDistance:
    return FeatureDistance(EfficientNetLite0())


def unit_difference(a: Float[Tensor, "b c y x"], b: Float[Tensor, "b c y x"]) -> Float[Tensor, "b"]:
    """|a / |a| - b / |b||^2 over the channels, mean over the pixels; a pixel without features has the length 0."""
    return (normalize(a, dim=1) - normalize(b, dim=1)).square().sum(dim=1).mean(dim=(1, 2))
