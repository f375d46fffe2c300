"""A prior from the Hugging Face hub: the parts that are used, and of each the one file of weights that is."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

from data.errors import UserError
from guidance.prior_folder import HubId, check_parts

NETWORKS = {"unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model", "text_encoder": "model"}
SMALL = ["unet/config.json", "vae/config.json", "text_encoder/config.json", "scheduler/*.json", "tokenizer/*"]
SAFETENSORS = [
    f"{part}/{name}{piece}" for part, name in NETWORKS.items()
    for piece in (".safetensors", ".safetensors.index.json", "-0*-of-*.safetensors")
]  # fmt: skip


def fetch(hub_id: HubId) -> Path:
    """The folder of its copy here. What is there already is not fetched again, and needs no network."""
    try:
        folder = _download(hub_id, SMALL + SAFETENSORS)
        older = [part for part in NETWORKS if not any((folder / part).glob("*.safetensors"))]
        if older:
            names = {"text_encoder": "pytorch_model.bin"}
            _download(hub_id, [f"{part}/{names.get(part, 'diffusion_pytorch_model.bin')}" for part in older])
    except (OSError, ValueError, HfHubHTTPError) as error:
        raise UserError(f"prior.path={hub_id.name}: there is no such folder here, and {_reason(error)}") from error
    check_parts(folder, f"prior.path={hub_id.name}")
    return folder


def _reason(error: Exception) -> str:
    if isinstance(error, LocalEntryNotFoundError):
        return "the Hugging Face hub, which may have it, cannot be reached"
    if isinstance(error, RepositoryNotFoundError):
        return "the Hugging Face hub has no such repository, or shows it to others only (hf auth login)"
    return f"the Hugging Face hub did not give it ({type(error).__name__}: {' '.join(str(error).split())[:200]})"


def _download(hub_id: HubId, patterns: list[str]) -> Path:
    return Path(snapshot_download(hub_id.name, allow_patterns=patterns))
