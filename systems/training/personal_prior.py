"""A prior that has learned a subject, as a folder that any run reads."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from diffusers import DDIMScheduler, ModelMixin
from torch import nn
from transformers import PreTrainedModel

from data.whole_file import whole_folder
from guidance.diffusion_prior import DiffusionPrior
from guidance.learner import Learner
from guidance.prior_folder import HubId, copy_part, find_prior
from guidance.tokenizer import WordTokenizer
from guidance.weights.conversion import write_folder
from guidance.weights.original_file import OriginalCheckpoint
from guidance.weights.prior_weights import PredictionType


def write_prior(prior: DiffusionPrior, learner: Learner, folder: Path, dtype: torch.dtype) -> None:
    """The learner's networks, and beside them what they have not changed of `prior`. Whole or not at all."""
    with whole_folder(folder) as draft:
        _write_rest(prior, draft, dtype)
        unet, text_encoder = learner.merged()
        _save(unet, draft / "unet", dtype)
        _save(text_encoder, draft / "text_encoder", dtype)
        if isinstance(learner.tokenizer, WordTokenizer):
            learner.tokenizer.save(draft / "tokenizer")


def _write_rest(prior: DiffusionPrior, folder: Path, dtype: torch.dtype) -> None:
    source = find_prior(prior.path)
    if isinstance(source, HubId):
        from guidance.weights.hub import fetch

        source = fetch(source)
    if source.is_file():
        asked: PredictionType = "epsilon" if prior.prediction_type == "epsilon" else "v_prediction"
        write_folder(OriginalCheckpoint(source), folder, asked, dtype)
        return
    for part in ("vae", "tokenizer"):
        copy_part(source, part, folder)
    scheduler = DDIMScheduler.from_pretrained(source / "scheduler")
    scheduler.register_to_config(prediction_type=prior.prediction_type)
    scheduler.save_pretrained(folder / "scheduler")


def _save(network: ModelMixin | PreTrainedModel, folder: Path, dtype: torch.dtype) -> None:
    """With a config that names no place of this machine; casts the network that is given."""
    shutil.rmtree(folder, ignore_errors=True)
    nn.Module.to(network, dtype)  # diffusers' own warns of layers that it would leave in float32, of which it has none
    network.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config.pop("_name_or_path", None)
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
