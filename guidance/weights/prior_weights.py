"""What a diffusion prior asks of its weights, wherever they are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
from diffusers import AutoencoderKL, DDIMScheduler
from jaxtyping import Float
from torch import Tensor

from guidance.camera_unet import CameraUNet
from guidance.text_encoder import TextEncoder

PredictionType = Literal["auto", "epsilon", "v_prediction"]


@dataclass(frozen=True)
class NoiseSchedule:
    alphas_cumprod: Float[Tensor, "t"]
    prediction_type: str  # what the network predicts: "epsilon" or "v_prediction"


@runtime_checkable
class PriorWeights(Protocol):
    """Networks are loaded when asked for, frozen. UserError, naming prior.path, where they cannot be."""

    vocabulary: tuple[str, ...] | None  # the only words it knows; None: it reads anything

    @property
    def fingerprint(self) -> str:
        """Of the weights' bytes, the same on every machine."""
        ...

    @property
    def text_fingerprint(self) -> str:
        """Changes when the text encoder or the tokenizer does."""
        ...

    def schedule(self) -> NoiseSchedule: ...

    def scheduler(self) -> DDIMScheduler:
        """The same, as the file that a prior's folder has."""
        ...

    def unet(self, dtype: torch.dtype, device: torch.device) -> CameraUNet:
        """Its `sample_size` is that of the latents it has been trained on."""
        ...

    def vae(self, dtype: torch.dtype, device: torch.device) -> AutoencoderKL: ...

    def text_encoder(self, device: torch.device) -> TextEncoder: ...
