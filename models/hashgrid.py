"""Multiresolution hash encoding (Mueller et al. 2022, Instant-NGP), with the grid conventions of tiny-cuda-nn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import embedding

from data.ranges import PositiveInt
from models.backends import Backend, Source, choose

PRIMES = (1, 2654435761, 805459861)  # Teschner et al. 2003, as in Instant-NGP eq. 4


@dataclass(frozen=True)
class Levels:
    """Layout of l levels in one flat table: level i owns `size[i]` entries from `offset[i]` on."""

    scale: Float[np.ndarray, "l"]  # float32: cells per unit length
    resolution: Int[np.ndarray, "l"]  # vertices per axis
    offset: Int[np.ndarray, "l"]
    size: Int[np.ndarray, "l"]

    @classmethod
    def geometric(cls, n_levels: int, base_resolution: int, finest_resolution: int, log2_table_size: int) -> Levels:
        """Resolutions in geometric progression; a level that would not fit the table is hashed into 2^log2 entries."""
        growth = (finest_resolution / base_resolution) ** (1 / max(n_levels - 1, 1))
        scale = base_resolution * growth ** np.arange(n_levels) - 1
        scale = np.where(np.isclose(scale, scale.round()), scale.round(), scale)
        resolution = np.ceil(scale).astype(np.int64) + 1
        size = np.minimum(-(-(resolution**3) // 8) * 8, 2**log2_table_size)
        return cls(scale.astype(np.float32), resolution, np.cumsum(size) - size, size)

    @property
    def hashed(self) -> Bool[np.ndarray, "l"]:
        return self.resolution**3 > self.size


@runtime_checkable
class Encode(Protocol):
    def __call__(
        self,
        x: Float[Tensor, "n 3"],
        tables: Float[Tensor, "e k"],
        levels: Levels,
        known: Float[Tensor, "n f"] | None = None,
    ) -> Float[Tensor, "n f"]:
        """Trilinearly interpolated table entries, k features per level, f = l * k, coarse levels first.

        Points outside the unit cube take the value of the nearest point on its faces. known: this function's value at
        x, computed before without gradient; an implementation may return it, with its gradient, instead of reading
        the tables again.
        """
        ...


def encode_torch(
    x: Float[Tensor, "n 3"], tables: Float[Tensor, "e k"], levels: Levels, known: Float[Tensor, "n f"] | None = None
) -> Float[Tensor, "n f"]:
    """The definition. Per level: p = x * scale + 1/2, the 8 vertices around p, their entries weighted trilinearly."""
    corners = torch.tensor([[c & 1, c >> 1 & 1, c >> 2] for c in range(8)], device=x.device)
    features = []
    for i, hashed in enumerate(levels.hashed):
        position = x.clamp(0, 1) * float(levels.scale[i]) + 0.5
        cell = position.detach().floor()
        inside = (position - cell)[:, None]
        vertex = cell.long()[:, None] + corners
        index = _hash(vertex) if hashed else _dense(vertex, int(levels.resolution[i]))
        # Not tables[...]: its gradient adds in any order on several threads, and resumed runs are to be bit-equal
        entries = embedding(int(levels.offset[i]) + index % int(levels.size[i]), tables)
        weight = torch.where(corners == 1, inside, 1 - inside).prod(dim=-1)
        features.append((weight[..., None] * entries).sum(dim=1))
    return torch.cat(features, dim=-1)


def _hash(vertex: Int[Tensor, "n 8 3"]) -> Int[Tensor, "n 8"]:
    """x ^ y p1 ^ z p2. In 64 bits: the tables are powers of two, so the low bits equal those of 32-bit arithmetic."""
    return vertex[..., 0] * PRIMES[0] ^ vertex[..., 1] * PRIMES[1] ^ vertex[..., 2] * PRIMES[2]


def _dense(vertex: Int[Tensor, "n 8 3"], resolution: int) -> Int[Tensor, "n 8"]:
    return vertex[..., 0] + resolution * (vertex[..., 1] + resolution * vertex[..., 2])


def _load_numba() -> Encode:
    from models.hashgrid_numba import encode_numba

    return encode_numba


def _refuse_numba() -> Encode:
    raise NotImplementedError("the numba encoding is written for 2 features per level")


def _load_tinycudann() -> Encode:
    from models.hashgrid_cuda import TinyCudaEncode

    return TinyCudaEncode()


NUMBA = Source(_load_numba, "pip install numba")
NUMBA_OTHER_WIDTH = Source(_refuse_numba, "geometry.encoding.n_features=2")
TINYCUDANN = Source(
    _load_tinycudann,
    'pip install --no-build-isolation "git+https://github.com/NVlabs/tiny-cuda-nn/#subdirectory=bindings/torch"',
)


class HashGrid(nn.Module):
    """Points in the unit cube to `n_output` features, learned in one table "e k" that all back ends share.

    active_levels: the features of finer levels are 0. A schedule may let them in one after the other.
    """

    def __init__(
        self,
        n_levels: PositiveInt = 8,
        n_features: PositiveInt = 2,
        log2_table_size: PositiveInt = 15,
        base_resolution: PositiveInt = 8,
        finest_resolution: PositiveInt = 96,
        backend: Backend = "auto",
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.backend = backend
        self.levels = Levels.geometric(n_levels, base_resolution, finest_resolution, log2_table_size)
        self.n_output = n_levels * n_features
        self.n_features, self.active_levels = n_features, n_levels
        generator = torch.Generator().manual_seed(seed)
        tables = torch.empty(int(self.levels.size.sum()), n_features)
        self.tables = nn.Parameter(tables.uniform_(-1e-4, 1e-4, generator=generator))
        numba = NUMBA if n_features == 2 else NUMBA_OTHER_WIDTH
        self._encode = choose(backend, encode_torch, numba, TINYCUDANN)

    def forward(self, x: Float[Tensor, "n 3"], known: Float[Tensor, "n f"] | None = None) -> Float[Tensor, "n f"]:
        if known is not None and not torch.is_grad_enabled():
            return known
        features = self._encode.of(x)(x, self.tables, self.levels, known)
        n_active = self.active_levels * self.n_features
        if n_active >= self.n_output:
            return features
        return features * (torch.arange(self.n_output, device=x.device) < n_active)
