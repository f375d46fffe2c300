"""What a feature network sees in pictures, kept on disk: many priors are compared with one reference."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

from jaxtyping import UInt8
from rich.progress import track
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from data.whole_file import whole
from metrics.features import FeatureNetwork
from metrics.image_set import ImageSet, see

log = logging.getLogger(__name__)
OBJECTS = 2  # seen together


def see_all(network: FeatureNetwork, images: UInt8[Tensor, "o v h w 3"]) -> ImageSet:
    chunks = track(images.split(OBJECTS), description=f"Looking with {network.name}", transient=True)
    return see(network, (chunk.float() / 255 for chunk in chunks))


def see_once(network: FeatureNetwork, images: UInt8[Tensor, "o v h w 3"], cache_dir: Path) -> ImageSet:
    """The same; remembered under a hash of the pictures' bytes and the network's name."""
    described = f"{network.name} {network.n_features} {tuple(images.shape)}".encode()
    key = hashlib.sha256(described + images.contiguous().numpy().tobytes()).hexdigest()
    file = cache_dir / f"{key}.safetensors"
    try:
        known = load_file(file)
        return ImageSet(network.name, known["features"].double(), known["logits"].double())
    except (OSError, SafetensorError, KeyError):
        seen = see_all(network, images)
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        with whole(file) as draft:
            save_file({"features": seen.features.float(), "logits": seen.logits.float()}, draft)
    except (OSError, SafetensorError) as error:
        log.warning("%s: features are not kept (%s)", cache_dir, error)
    return seen
