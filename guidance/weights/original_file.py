"""A prior in one file, in the layout of the original code: Stable Diffusion 1 or 2, or MVDream."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Generic, Literal, TypeVar

import torch
from diffusers import AutoencoderKL, DDIMScheduler
from torch import Tensor

from data.errors import UserError
from guidance.camera_unet import CameraUNet
from guidance.text_encoder import TextEncoder
from guidance.weights.checksum import checksum
from guidance.weights.clip_tokenizer import BytePairs, clip_tokenizer
from guidance.weights.filling import check_fits, fill, some
from guidance.weights.noise_schedule import betas, check_schedule, new_scheduler
from guidance.weights.prior_weights import NoiseSchedule, PredictionType
from guidance.weights.renaming import Renaming
from guidance.weights.tensor_file import open_tensors
from guidance.weights.text import TextSizes
from guidance.weights.unet import UNetSizes
from guidance.weights.vae import VAESizes

log = logging.getLogger(__name__)
Sizes = TypeVar("Sizes", UNetSizes, VAESizes, TextSizes)

UNET, VAE = "model.diffusion_model.", "first_stage_model."
OPEN_CLIP, CLIP = "cond_stage_model.model.", "cond_stage_model.transformer.text_model."
NETWORK = {UNET: "UNet", VAE: "autoencoder", OPEN_CLIP: "text encoder", CLIP: "text encoder"}
VAE_STRIDE = 8  # pixels a latent, of everything in this layout


@dataclass(frozen=True)
class Part(Generic[Sizes]):
    """One network of an original checkpoint."""

    sizes: Sizes
    tensors: dict[str, Tensor]  # under our names
    rest: dict[str, Tensor]  # what our network does not have, under its name in the file


def read_part(kind: type[Sizes], tensors: Mapping[str, Tensor], prefix: str) -> Part[Sizes]:
    """Raises ValueError with the end of a sentence if there is no such network in the checkpoint, or only a part."""
    inside = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    if not inside:
        raise ValueError(f"without {prefix}*, the {NETWORK[prefix]}; its {len(tensors)} tensors are{some([*tensors])}")
    try:
        sizes = kind.of(inside)
    except KeyError as error:
        raise ValueError(f"whose {NETWORK[prefix]} lacks {prefix}{error.args[0]}; download it again") from error
    renaming = Renaming(sizes.links())
    ours, rest = renaming.split(inside)
    unknown = [prefix + name for name in rest if not name.startswith(kind.SPARE)]
    if unknown:
        raise ValueError(f"whose {NETWORK[prefix]} has {len(unknown)} unknown tensors{some(unknown)}")
    try:
        check_fits(sizes.build, ours, lambda name: prefix + renaming.original_name(name))
    except ValueError as error:
        raise ValueError(f"whose {NETWORK[prefix]} is another or not whole: {error}") from error
    return Part(sizes, ours, {prefix + name: tensor for name, tensor in rest.items()})


class OriginalCheckpoint:
    """All tensors of a file, by network. UserError, naming prior.path, if it is no such checkpoint."""

    def __init__(self, file: Path) -> None:
        with blaming(file):
            opened = open_tensors(file)
            tensors = opened.tensors
            text = CLIP if any(name.startswith(CLIP) for name in tensors) else OPEN_CLIP
            self.unet = read_part(UNetSizes, tensors, UNET)
            self.vae = read_part(VAESizes, tensors, VAE)
            self.text = read_part(TextSizes, tensors, text)
            check_schedule(tensors)
        self.wrapped = opened.wrapped
        outside = {name: tensor for name, tensor in tensors.items() if not name.startswith((UNET, VAE, text))}
        self.rest = outside | self.unet.rest | self.vae.rest | self.text.rest

    def prediction_type(self, asked: PredictionType) -> Literal["epsilon", "v_prediction"]:
        """What no tensor tells of a Stable Diffusion 2."""
        if asked != "auto":
            return asked
        if self.unet.sizes.linear and not self.unet.sizes.camera:
            raise UserError(
                "prior.prediction_type=auto: a single file of Stable Diffusion 2 does not tell what it predicts; say"
                " epsilon for a model of 512 pixels (2.1-base), v_prediction for one of 768 (2.1)"
            )
        return "epsilon"

    def image_size(self, prediction_type: str) -> int:
        """Pixels that it has been trained on, as published."""
        if self.unet.sizes.camera:
            return 256
        return 768 if prediction_type == "v_prediction" else 512


class OriginalFile:
    """Implements `PriorWeights`."""

    vocabulary: tuple[str, ...] | None = None

    def __init__(self, file: Path, prediction_type: PredictionType) -> None:
        self._file = file
        self._checkpoint = OriginalCheckpoint(file)
        self._prediction_type = self._checkpoint.prediction_type(prediction_type)
        self._image_size = self._checkpoint.image_size(self._prediction_type)
        log.info("prior: %s, sha256 %s", file, self.fingerprint)

    @cached_property
    def fingerprint(self) -> str:
        return checksum(self._file)

    @property
    def text_fingerprint(self) -> str:
        return self.fingerprint

    def schedule(self) -> NoiseSchedule:
        return NoiseSchedule((1 - betas()).cumprod(0).float(), self._prediction_type)

    def scheduler(self) -> DDIMScheduler:
        return new_scheduler(self._prediction_type)

    def unet(self, dtype: torch.dtype, device: torch.device) -> CameraUNet:
        part = self._checkpoint.unet
        return fill(lambda: part.sizes.build(self._image_size // VAE_STRIDE), part.tensors, dtype, device)

    def vae(self, dtype: torch.dtype, device: torch.device) -> AutoencoderKL:
        return fill(self._checkpoint.vae.sizes.build, self._checkpoint.vae.tensors, dtype, device)

    def text_encoder(self, device: torch.device) -> TextEncoder:
        part = self._checkpoint.text
        tokenizer = clip_tokenizer(pads_with_zero=False, length=part.sizes.length)
        byte_pairs = BytePairs(tokenizer, padding=0 if part.sizes.open_clip else None)
        return TextEncoder(byte_pairs, fill(part.sizes.build, part.tensors, torch.float32, device))


@contextmanager
def blaming(file: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, OSError) as error:
        raise UserError(f"prior.path={file}: this is a file {error}") from error
