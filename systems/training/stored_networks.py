"""The networks of a stored prior, of whatever layout, to be trained further: float32, all of it trainable."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import torch
from diffusers import AutoencoderKL, DDIMScheduler
from transformers import CLIPTextModel

from data.ranges import PositiveInt
from guidance.camera_unet import CameraUNet
from guidance.multiview import inflate
from guidance.tokenizer import Tokenizer
from guidance.weights.opening import open_weights

CPU = torch.device("cpu")
PredictionType = Literal["auto", "epsilon", "v_prediction"]
_open = lru_cache(maxsize=1)(open_weights)  # a training asks for one part after the other


def unet(
    path: str,
    prediction_type: PredictionType = "auto",
    multi_view: bool = True,
    latent_size: PositiveInt | None = None,
) -> CameraUNet:
    """multi_view: a 2D one gets a camera MLP. latent_size: of the training to come; None: as it was trained."""
    found = _open(path, prediction_type).unet(torch.float32, CPU).requires_grad_(True)
    network = inflate(found) if multi_view and not found.takes_camera else found
    if latent_size is not None:
        network.register_to_config(sample_size=latent_size)
    return network


def text_encoder(path: str, prediction_type: PredictionType = "auto") -> CLIPTextModel:
    return _open(path, prediction_type).text_encoder(CPU).model.requires_grad_(True)


def tokenizer(path: str, prediction_type: PredictionType = "auto") -> Tokenizer:
    return _open(path, prediction_type).text_encoder(CPU).tokenizer


def scheduler(path: str, prediction_type: PredictionType = "auto") -> DDIMScheduler:
    return _open(path, prediction_type).scheduler()


def autoencoder(path: str, prediction_type: PredictionType = "auto") -> AutoencoderKL:
    return _open(path, prediction_type).vae(torch.float32, CPU)
