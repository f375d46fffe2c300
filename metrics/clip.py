"""Any CLIP that transformers can read from a folder, the embedded mini-CLIP among them."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from torch import Tensor
from torch.nn.functional import normalize
from transformers import AutoTokenizer, CLIPModel

from data.errors import UserError
from metrics.preprocessing import FILE as PREPROCESSOR
from metrics.preprocessing import Preprocessing

REPOSITORY = Path(__file__).resolve().parents[1]
NEEDED = {  # what a folder holds, and by which files it shows
    "config": ("config.json",),
    "weights": ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"),
    "tokenizer": ("tokenizer.json", "vocab.json"),
    "preprocessor": (PREPROCESSOR,),
}
CHUNK = 64  # pictures or sentences embedded together


class Clip:
    """A TextImageModel: Radford et al. 2021, with its own tokenizer and preprocessing; float32.

    path: a folder, relative to where one stands or to this repository. name: of the model in figures; null: the
    folder's.
    """

    def __init__(self, path: str, device: str = "cpu", name: str | None = None) -> None:
        folder = find_clip(path)
        try:
            model, found = CLIPModel.from_pretrained(
                folder, dtype=torch.float32, local_files_only=True, output_loading_info=True
            )
            self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"clip.path={path}: transformers cannot read it ({reason}); give a whole CLIP") from error
        if found["missing_keys"]:
            raise UserError(f"clip.path={path}: its weights lack {min(found['missing_keys'])}; give a whole CLIP")
        self._model = model.eval().requires_grad_(False).to(device)
        self._preprocess = Preprocessing.read(folder / PREPROCESSOR)
        self.name = name or folder.name
        self.logit_scale = model.logit_scale.exp().item()

    @torch.no_grad()
    def embed_images(self, images: Float[Tensor, "b h w 3"]) -> Float[Tensor, "b d"]:
        device = self._model.device
        pixels = [self._preprocess(chunk.to(device)) for chunk in images.split(CHUNK)]
        features = [self._model.get_image_features(pixel_values=x).pooler_output for x in pixels]
        return normalize(torch.cat(features), dim=-1)

    @torch.no_grad()
    def embed_texts(self, texts: list[str]) -> Float[Tensor, "n d"]:
        longest = self._model.config.text_config.max_position_embeddings
        features = []
        for start in range(0, len(texts), CHUNK):
            chunk = texts[start : start + CHUNK]
            tokens = self._tokenizer(chunk, padding=True, truncation=True, max_length=longest, return_tensors="pt")
            tokens = tokens.to(self._model.device)
            found = self._model.get_text_features(tokens["input_ids"], attention_mask=tokens["attention_mask"])
            features.append(found.pooler_output)
        return normalize(torch.cat(features), dim=-1)


def find_clip(path: str) -> Path:
    """The folder, if it looks like a CLIP; UserError names what is missing."""
    candidates = [Path(path).expanduser(), REPOSITORY / path]
    folder = next((c for c in candidates if c.is_dir()), None)
    if folder is None:
        raise UserError(f"clip.path={path}: there is no such folder; say clip.path=assets/mini_clip, or your own CLIP")
    lacking = [part for part, files in NEEDED.items() if not any((folder / file).is_file() for file in files)]
    if lacking:
        raise UserError(
            f"clip.path={path}: it has no {' and no '.join(lacking)} ({NEEDED[lacking[0]][0]}); give a folder that"
            " CLIPModel.save_pretrained wrote, with its tokenizer and its preprocessor"
        )
    kind = json.loads((folder / "config.json").read_text()).get("model_type")
    if kind != "clip":
        raise UserError(f"clip.path={path}: its config.json says model_type={kind}; give one that says clip")
    return folder.resolve()
