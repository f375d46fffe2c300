"""From a file in the original layout to a folder in diffusers' layout, and back to the same bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from data.errors import UserError
from guidance.weights.clip_tokenizer import clip_tokenizer
from guidance.weights.diffusers_folder import load_part
from guidance.weights.filling import check_fits
from guidance.weights.noise_schedule import new_scheduler
from guidance.weights.original_file import CLIP, OPEN_CLIP, UNET, VAE, VAE_STRIDE, OriginalCheckpoint, Sizes
from guidance.weights.prior_weights import PredictionType
from guidance.weights.renaming import Renaming
from guidance.weights.tensor_file import WRAPPER, TensorFile, open_tensors
from guidance.weights.text import TextSizes
from guidance.weights.unet import UNetSizes
from guidance.weights.vae import VAESizes

REST = "original_rest.safetensors"
FILES = {
    "unet": "diffusion_pytorch_model.safetensors",
    "vae": "diffusion_pytorch_model.safetensors",
    "text_encoder": "model.safetensors",
}
TOWER = "text_model."  # how transformers began the names in a text tower, up to its version 4; 5 reads both
PIPELINE = {
    "_class_name": "StableDiffusionPipeline",
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "safety_checker": [None, None],
    "feature_extractor": [None, None],
}


def write_folder(
    checkpoint: OriginalCheckpoint, folder: Path, asked: PredictionType, dtype: torch.dtype | None
) -> None:
    """dtype: of the networks; None: as stored. What diffusers has no place for goes to a file of its own, as stored."""
    prediction_type = checkpoint.prediction_type(asked)
    image_size = checkpoint.image_size(prediction_type)
    unet, vae, text = checkpoint.unet, checkpoint.vae, checkpoint.text
    tower = {TOWER + name: tensor for name, tensor in text.tensors.items()}
    for part, tensors in {"unet": unet.tensors, "vae": vae.tensors, "text_encoder": tower}.items():
        (folder / part).mkdir(parents=True)
        save_tensors(folder / part / FILES[part], tensors, dtype)
    with init_empty_weights(include_buffers=False):
        unet.sizes.build(image_size // VAE_STRIDE).save_config(folder / "unet")
        vae.sizes.build(image_size).save_config(folder / "vae")
        text.sizes.build().config.save_pretrained(folder / "text_encoder")
    clip_tokenizer(pads_with_zero=text.sizes.open_clip, length=text.sizes.length).save_pretrained(folder / "tokenizer")
    new_scheduler(prediction_type).save_pretrained(folder / "scheduler")
    (folder / "model_index.json").write_text(json.dumps(PIPELINE, indent=2) + "\n")
    sizes = {name: json.dumps(asdict(part.sizes)) for name, part in (("unet", unet), ("vae", vae), ("text", text))}
    save_tensors(folder / REST, checkpoint.rest, None, sizes | {"wrapped": json.dumps(checkpoint.wrapped)})


def read_original(folder: Path, rest: Path) -> TensorFile:
    """The checkpoint that a folder was converted from, with the weights that the folder has now.

    rest: the folder of the conversion, which keeps what this folder may have lost.
    """
    if not (rest / REST).exists():
        raise UserError(
            f"prior.path={folder}: {rest} has no {REST}, as experiment=convert_prior writes it; point job.rest at a"
            " folder that has"
        )
    with safe_open(rest / REST, "pt") as opened:
        facts = opened.metadata()
    text = read_sizes(TextSizes, facts["text"])
    tensors = open_tensors(rest / REST).tensors
    for part, prefix, sizes in (
        ("unet", UNET, read_sizes(UNetSizes, facts["unet"])),
        ("vae", VAE, read_sizes(VAESizes, facts["vae"])),
        ("text_encoder", OPEN_CLIP if text.open_clip else CLIP, text),
    ):
        originals = load_part(folder, part, partial(_restored, sizes))
        tensors |= {prefix + name: tensor for name, tensor in originals.items()}
    return TensorFile(tensors, wrapped=json.loads(facts["wrapped"]))


def write_original(file: Path, original: TensorFile) -> None:
    """By the suffix: .safetensors, or what torch.save writes."""
    if file.suffix == ".safetensors":
        save_tensors(file, original.tensors, None)
    else:
        owned = {name: _owned(tensor) for name, tensor in original.tensors.items()}
        torch.save({WRAPPER: owned} if original.wrapped else owned, file)


def save_tensors(
    file: Path, tensors: Mapping[str, Tensor], dtype: torch.dtype | None, facts: Mapping[str, str] | None = None
) -> None:
    owned = {name: _owned(tensor, dtype) for name, tensor in tensors.items()}
    save_file(owned, file, {"format": "pt", **(facts or {})})


def read_sizes(kind: type[Sizes], text: str) -> Sizes:
    facts: dict[str, Any] = json.loads(text)
    facts |= {key: tuple(value) for key, value in facts.items() if isinstance(value, list)}
    return kind(**facts)


def _restored(sizes: UNetSizes | VAESizes | TextSizes, part: Path) -> dict[str, Tensor]:
    tensors = open_tensors(part / FILES[part.name]).tensors
    ours = {name.removeprefix(TOWER): tensor for name, tensor in tensors.items()}
    check_fits(sizes.build, ours)
    return Renaming(sizes.links()).restore(ours)


def _owned(tensor: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """As written to files, which know no views: copied only if it is a part of a larger one."""
    if dtype is not None and tensor.is_floating_point():
        tensor = tensor.to(dtype)
    is_part = tensor.untyped_storage().nbytes() != tensor.nbytes
    return tensor.clone(memory_format=torch.contiguous_format) if is_part else tensor.contiguous()
