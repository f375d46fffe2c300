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
from models.backends import TINYCUDANN, Backend, Source, choose

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

    def coarsest(self, n: int) -> Levels:
        """The first n; they stay where they are in the table."""
        return Levels(self.scale[:n], self.resolution[:n], self.offset[:n], self.size[:n])


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


@runtime_checkable
class EncodeWithJacobian(Protocol):
    def __call__(
        self, x: Float[Tensor, "n 3"], tables: Float[Tensor, "e k"], levels: Levels
    ) -> tuple[Float[Tensor, "n f"], Float[Tensor, "n f 3"]]:
        """What `Encode` gives, and its derivatives with respect to x; 0 along an axis on which x is outside the cube.

        Both are linear in the tables, so that the gradient of the derivatives, too, is one scatter into the tables.
        """
        ...


@dataclass(frozen=True)
class HashKernels:
    encode: Encode
    with_jacobian: EncodeWithJacobian


def encode_torch(
    x: Float[Tensor, "n 3"], tables: Float[Tensor, "e k"], levels: Levels, known: Float[Tensor, "n f"] | None = None
) -> Float[Tensor, "n f"]:
    """The definition. Per level: p = x * scale + 1/2, the 8 vertices around p, their entries weighted trilinearly."""
    features = []
    for i in range(len(levels.scale)):
        entries, along = _around(x, tables, levels, i)
        features.append((along.prod(dim=-1)[..., None] * entries).sum(dim=1))
    return torch.cat(features, dim=-1)


def jacobian_torch(
    x: Float[Tensor, "n 3"], tables: Float[Tensor, "e k"], levels: Levels
) -> tuple[Float[Tensor, "n f"], Float[Tensor, "n f 3"]]:
    """The definition. d weight / d x along an axis: +- scale, times the weights along the other two."""
    sign = 2 * _corners(x.device) - 1
    inside = (x >= 0) & (x <= 1)
    slopes = []
    for i, scale in enumerate(levels.scale):
        entries, along = _around(x, tables, levels, i)
        others = torch.stack(
            [along[..., 1] * along[..., 2], along[..., 0] * along[..., 2], along[..., :2].prod(-1)], -1
        )
        weight = sign * others * float(scale) * inside[:, None]
        slopes.append((weight[..., None, :] * entries[..., None]).sum(dim=1))
    return encode_torch(x, tables, levels), torch.cat(slopes, dim=1)


def _around(
    x: Float[Tensor, "n 3"], tables: Float[Tensor, "e k"], levels: Levels, level: int
) -> tuple[Float[Tensor, "n 8 k"], Float[Tensor, "n 8 3"]]:
    """The entries of the 8 vertices around each point on one level, and their weights along each axis."""
    corners = _corners(x.device)
    position = x.clamp(0, 1) * float(levels.scale[level]) + 0.5
    cell = position.detach().floor()
    inside = (position - cell)[:, None]
    vertex = cell.long()[:, None] + corners
    index = _hash(vertex) if levels.hashed[level] else _dense(vertex, int(levels.resolution[level]))
    # Not tables[...]: its gradient adds in any order on several threads, and resumed runs are to be bit-equal
    entries = embedding(int(levels.offset[level]) + index % int(levels.size[level]), tables)
    return entries, torch.where(corners == 1, inside, 1 - inside)


def _corners(device: torch.device) -> Int[Tensor, "8 3"]:
    return torch.tensor([[c & 1, c >> 1 & 1, c >> 2] for c in range(8)], device=device)


def _hash(vertex: Int[Tensor, "n 8 3"]) -> Int[Tensor, "n 8"]:
    """x ^ y p1 ^ z p2. In 64 bits: the tables are powers of two, so the low bits equal those of 32-bit arithmetic."""
    return vertex[..., 0] * PRIMES[0] ^ vertex[..., 1] * PRIMES[1] ^ vertex[..., 2] * PRIMES[2]


def _dense(vertex: Int[Tensor, "n 8 3"], resolution: int) -> Int[Tensor, "n 8"]:
    return vertex[..., 0] + resolution * (vertex[..., 1] + resolution * vertex[..., 2])


TORCH = HashKernels(encode_torch, jacobian_torch)


def _load_numba() -> HashKernels:
    from models.hashgrid_numba import encode_numba, jacobian_numba

    return HashKernels(encode_numba, jacobian_numba)


def _refuse_numba() -> HashKernels:
    raise NotImplementedError("the numba encoding is written for 2 features per level")


def _load_tinycudann() -> HashKernels:
    from models.hashgrid_cuda import TinyCudaEncode

    return HashKernels(TinyCudaEncode(), jacobian_torch)


NUMBA = Source(_load_numba, "pip install numba")
NUMBA_OTHER_WIDTH = Source(_refuse_numba, "geometry.encoding.n_features=2")
CUDA = Source(_load_tinycudann, TINYCUDANN)


class HashGrid(nn.Module):
    """Points in the unit cube to `n_output` features, learned in one table "e k" that all back ends share.

    active_levels: finer levels are not looked up, their features are 0. A schedule may let them in one by one; of
    a fraction the whole part counts.
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
        self._kernels = choose(backend, TORCH, numba, CUDA)

    def forward(self, x: Float[Tensor, "n 3"], known: Float[Tensor, "n f"] | None = None) -> Float[Tensor, "n f"]:
        if known is not None and not torch.is_grad_enabled():
            return known
        encode = self._kernels.of(x).encode
        if known is not None:
            known = known[:, : self._n_active]
        return self._with_zeros(encode(x, self.tables, self._active, known))

    def with_jacobian(self, x: Float[Tensor, "n 3"]) -> tuple[Float[Tensor, "n f"], Float[Tensor, "n f 3"]]:
        features, jacobian = self._kernels.of(x).with_jacobian(x, self.tables, self._active)
        return self._with_zeros(features), self._with_zeros(jacobian)

    @property
    def _active(self) -> Levels:
        return self.levels.coarsest(int(self.active_levels))

    @property
    def _n_active(self) -> int:
        return min(int(self.active_levels) * self.n_features, self.n_output)

    def _with_zeros(self, active: Float[Tensor, "n a *d"]) -> Float[Tensor, "n f *d"]:
        """With the features of the levels that are not active yet; feature by feature in memory if they come so."""
        if self._n_active == self.n_output:
            return active
        zeros = active.new_zeros(self.n_output - self._n_active, len(active), *active.shape[2:])
        return torch.cat([active.transpose(0, 1), zeros]).transpose(0, 1)
