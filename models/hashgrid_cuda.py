"""tiny-cuda-nn's encoding behind the signature of `hashgrid.encode_torch`: same table, same layout, same values."""

from __future__ import annotations

import tinycudann
import torch
from jaxtyping import Float
from torch import Tensor

from models.hashgrid import Levels


class TinyCudaEncode:
    def __init__(self) -> None:
        self._encodings: dict[int, torch.nn.Module] = {}  # by levels; they own no parameters: those come with each call

    def __call__(
        self,
        x: Float[Tensor, "n 3"],
        tables: Float[Tensor, "e k"],
        levels: Levels,
        known: Float[Tensor, "n f"] | None = None,
    ) -> Float[Tensor, "n f"]:
        if len(levels.scale) not in self._encodings:
            self._encodings[len(levels.scale)] = _build(levels, tables.shape[1])
        params = tables[: int(levels.size.sum())].flatten()
        return torch.func.functional_call(self._encodings[len(levels.scale)], {"params": params}, (x,))


def _build(levels: Levels, n_features: int) -> torch.nn.Module:
    n_levels = len(levels.scale)
    growth = ((levels.scale[-1] + 1) / (levels.scale[0] + 1)) ** (1 / max(n_levels - 1, 1))
    config = {
        "otype": "HashGrid",
        "n_levels": n_levels,
        "n_features_per_level": n_features,
        "log2_hashmap_size": int(levels.size.max() - 1).bit_length(),  # rounded up: dense levels stay dense
        "base_resolution": round(float(levels.scale[0])) + 1,
        "per_level_scale": float(growth),
        "interpolation": "Linear",
    }
    return tinycudann.Encoding(3, config, dtype=torch.float32)
