"""Any CLIP that transformers can read from a folder, the embedded mini-CLIP among them."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize
from transformers import AutoTokenizer, CLIPModel

from data.errors import UserError
from metrics.clip_folder import PREPROCESSOR, find_clip
from metrics.preprocessing import Preprocessing
from metrics.text_image import UnknownWordsError

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
            self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            self._preprocess = Preprocessing.read(folder / PREPROCESSOR)
        except UserError:
            raise
        except Exception as error:  # of a damaged folder, transformers raises whatever it pleases
            reason = (str(error) or repr(error)).splitlines()[0]
            raise UserError(
                f"metric.clip.path={path}: transformers cannot read it ({reason}); give a whole CLIP"
            ) from error
        if found["missing_keys"]:
            raise UserError(
                f"metric.clip.path={path}: its weights lack {min(found['missing_keys'])}; give a whole CLIP"
            )
        self._model = model.eval().requires_grad_(False).to(device)
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
        self._check_words(texts)
        longest = self._model.config.text_config.max_position_embeddings
        features = []
        for start in range(0, len(texts), CHUNK):
            chunk = texts[start : start + CHUNK]
            tokens = self._tokenizer(chunk, padding=True, truncation=True, max_length=longest, return_tensors="pt")
            tokens = tokens.to(self._model.device)
            found = self._model.get_text_features(tokens["input_ids"], attention_mask=tokens["attention_mask"])
            features.append(found.pooler_output)
        return normalize(torch.cat(features), dim=-1)

    def _check_words(self, texts: list[str]) -> None:
        """Of CLIP's own tokenizer, which reads anything, the unknown token is the one that ends each sentence."""
        unknown = self._tokenizer.unk_token_id
        if unknown is None or unknown == self._tokenizer.eos_token_id:
            return
        for text, tokens in zip(texts, self._tokenizer(texts)["input_ids"], strict=True):
            if unknown in tokens:
                raise UnknownWordsError(f'{self.name} has not learned all words of "{text}"; give another CLIP')
