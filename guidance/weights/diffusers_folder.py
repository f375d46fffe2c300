"""A prior in a folder in diffusers' layout, with a UNet of diffusers or, as some ports of MVDream, of the original."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import torch
from diffusers import AutoencoderKL, DDIMScheduler

from data.errors import UserError
from data.reading import read_json
from guidance.camera_unet import CameraUNet
from guidance.prior_folder import PARTS
from guidance.text_encoder import TextEncoder, load_text_encoder
from guidance.vocabulary import read_vocabulary
from guidance.weights.checksum import fingerprint
from guidance.weights.filling import fill
from guidance.weights.original_file import UNET, read_part
from guidance.weights.prior_weights import NoiseSchedule, PredictionType
from guidance.weights.tensor_file import open_tensors
from guidance.weights.unet import UNetSizes

T = TypeVar("T")
Module = TypeVar("Module", CameraUNet, AutoencoderKL)
ORIGINAL_UNET = "MultiViewUNetModel"
LARGEST_LATENTS = 1024  # across: of pictures of 8192 pixels
WEIGHTS = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")


class DiffusersFolder:
    """Implements `PriorWeights`."""

    def __init__(self, folder: Path, prediction_type: PredictionType) -> None:
        self._folder = folder
        self._prediction_type = prediction_type
        self.vocabulary = read_vocabulary(folder)

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint(self._folder, PARTS)

    @cached_property
    def text_fingerprint(self) -> str:
        return fingerprint(self._folder, ("text_encoder", "tokenizer"))

    def schedule(self) -> NoiseSchedule:
        scheduler = self.scheduler()
        return NoiseSchedule(scheduler.alphas_cumprod, scheduler.config.prediction_type)

    def scheduler(self) -> DDIMScheduler:
        stored = load_part(self._folder, "scheduler", DDIMScheduler.from_pretrained)
        if self._prediction_type == "auto":
            return stored
        return DDIMScheduler.from_config(stored.config, prediction_type=self._prediction_type)

    def unet(self, dtype: torch.dtype, device: torch.device) -> CameraUNet:
        def load(part: Path) -> CameraUNet:
            config = read_json(part / "config.json")
            if config.get("_class_name") == ORIGINAL_UNET:
                return _original_unet(part, config.get("image_size", 32), dtype, device)
            return _from_pretrained(CameraUNet, part, dtype, device)

        def checked(part: Path) -> CameraUNet:
            unet = load(part)
            size = unet.config.sample_size
            if type(size) is not int or not 1 <= size <= LARGEST_LATENTS:
                raise ValueError(f"its sample_size is {size!r}, and not from 1 to {LARGEST_LATENTS}")
            return unet

        return load_part(self._folder, "unet", checked)

    def vae(self, dtype: torch.dtype, device: torch.device) -> AutoencoderKL:
        return load_part(self._folder, "vae", lambda part: _from_pretrained(AutoencoderKL, part, dtype, device))

    def text_encoder(self, device: torch.device) -> TextEncoder:
        return load_part(self._folder, "text_encoder", lambda _: load_text_encoder(self._folder, device))


def _from_pretrained(kind: type[Module], part: Path, dtype: torch.dtype, device: torch.device) -> Module:
    module = kind.from_pretrained(part, torch_dtype=dtype, local_files_only=True)
    return module.to(device, memory_format=torch.channels_last).eval().requires_grad_(False)


def _original_unet(part: Path, latent_size: int, dtype: torch.dtype, device: torch.device) -> CameraUNet:
    """Its tensors have the original's names, without prefix."""
    file = next((part / name for name in WEIGHTS if (part / name).exists()), None)
    if file is None:
        raise FileNotFoundError(f"there is neither {' nor '.join(WEIGHTS)}")
    tensors = {UNET + name: tensor for name, tensor in open_tensors(file).tensors.items()}
    network = read_part(UNetSizes, tensors, UNET)
    return fill(lambda: network.sizes.build(latent_size), network.tensors, dtype, device)


def load_part(folder: Path, part: str, load: Callable[[Path], T]) -> T:
    try:
        return load(folder / part)
    except (UserError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # of a damaged folder, the libraries raise whatever they please
        reason = (str(error) or repr(error)).splitlines()[0]
        raise UserError(f"prior.path={folder}: its {part}/ cannot be read ({reason}); restore the folder") from error
