"""The volume renderer's kernels, and where each back end's come from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

from models.backends import Backend, ByDevice, Source, choose
from renderers import compositing, marching
from renderers.marching import Segments


@dataclass(frozen=True)
class Kernels:
    """Names and meaning of the arguments: see the definitions, `marching.march` and the functions of `compositing`."""

    march: Callable[
        [Float[Tensor, "r 3"], Float[Tensor, "r 3"], Float[Tensor, "r"], Bool[Tensor, "x y z"], float, float], Segments
    ]
    visible: Callable[[Float[Tensor, "s"], Segments, float, float], Bool[Tensor, "s"]]
    weights: Callable[[Float[Tensor, "s"], Segments], Float[Tensor, "s"]]
    accumulate: Callable[[Float[Tensor, "s"], Float[Tensor, "s c"], Segments], Float[Tensor, "r c"]]


TORCH = Kernels(marching.march, compositing.visible, compositing.weights, compositing.accumulate)


def load_numba() -> Kernels:
    from renderers.compositing_numba import accumulate_numba, visible_numba, weights_numba
    from renderers.marching_numba import march_numba

    return Kernels(march_numba, visible_numba, weights_numba, accumulate_numba)


def load_nerfacc() -> Kernels:
    from renderers.compositing_cuda import accumulate_cuda, build, visible_cuda, weights_cuda

    build()
    return Kernels(marching.march, visible_cuda, weights_cuda, accumulate_cuda)


def choose_kernels(backend: Backend) -> ByDevice[Kernels]:
    return choose(
        backend, TORCH, Source(load_numba, "pip install numba"), Source(load_nerfacc, "pip install nerfacc ninja")
    )
