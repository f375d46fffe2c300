"""From pictures in [0, 1] to what a network wants to see, as its preprocessor_config.json says; all in floats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

from data.errors import UserError
from data.reading import read_json

FILE = "preprocessor_config.json"
RESAMPLING = {2: "bilinear", 3: "bicubic"}  # by Pillow's number
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class Preprocessing:
    """Shorter edge (`resize` an int) or whole picture (height, width) resized, the middle cut out, standardised."""

    resize: int | tuple[int, int] | None = 224
    crop: tuple[int, int] | None = (224, 224)
    mean: Sequence[float] = CLIP_MEAN
    std: Sequence[float] = CLIP_STD
    mode: str = "bicubic"

    def __call__(self, images: Float[Tensor, "b h w 3"]) -> Float[Tensor, "b 3 y x"]:
        pixels = images.movedim(-1, 1)
        if self.resize is not None and (size := self._size(*pixels.shape[2:])) != pixels.shape[2:]:
            pixels = interpolate(pixels, size, mode=self.mode, antialias=True).clamp(0, 1)  # bicubic overshoots
        if self.crop is not None:
            pixels = _middle(pixels, *self.crop)
        mean, std = (torch.tensor(x, device=pixels.device)[:, None, None] for x in (self.mean, self.std))
        return (pixels - mean) / std

    def _size(self, height: int, width: int) -> tuple[int, int]:
        if not isinstance(self.resize, int):
            assert self.resize is not None
            return self.resize
        shorter = min(height, width)
        return self.resize * height // shorter, self.resize * width // shorter

    @classmethod
    def read(cls, path: Path) -> Preprocessing:
        said = read_json(path)
        resample = said.get("resample", 3)
        if resample not in RESAMPLING:
            raise UserError(f"{path}: resample={resample} is not known here; it may be 2 (bilinear) or 3 (bicubic)")
        size, crop = said.get("size", 224), said.get("crop_size", 224)
        by_edge = isinstance(size, dict) and "shortest_edge" in size
        normalises = said.get("do_normalize", True)
        return cls(
            resize=(size["shortest_edge"] if by_edge else size if isinstance(size, int) else _both(size))
            if said.get("do_resize", True)
            else None,
            crop=_both(crop) if said.get("do_center_crop", True) else None,
            mean=said.get("image_mean", CLIP_MEAN) if normalises else (0.0, 0.0, 0.0),
            std=said.get("image_std", CLIP_STD) if normalises else (1.0, 1.0, 1.0),
            mode=RESAMPLING[resample],
        )


def _both(size: int | dict[str, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (size["height"], size["width"])


def _middle(pixels: Float[Tensor, "b c h w"], height: int, width: int) -> Float[Tensor, "b c y x"]:
    top, left = (pixels.shape[2] - height) // 2, (pixels.shape[3] - width) // 2
    return pixels[:, :, top : top + height, left : left + width]
