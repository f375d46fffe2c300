"""nerfacc's packed CUDA functions behind the signatures of `compositing`."""

from __future__ import annotations

from pathlib import Path

import nerfacc
from jaxtyping import Bool, Float
from torch import Tensor
from torch.utils import cpp_extension

from renderers.marching import Segments


def build() -> None:
    """Compiles nerfacc's kernels. Its own build fails from torch 2.13 on: C++20 already has the `lerp` they define."""
    sources = Path(nerfacc.__file__).parent / "cuda" / "csrc"
    nerfacc.csrc = cpp_extension.load(
        "nerfacc_cuda",
        sources=[str(path) for path in sorted([*sources.glob("*.cu"), *sources.glob("*.cpp")])],
        extra_cflags=["-O3"],
        extra_cuda_cflags=["-O3", "-std=c++17"],
    )


def weights_cuda(density: Float[Tensor, "s"], segments: Segments) -> Float[Tensor, "s"]:
    weight, _, _ = nerfacc.render_weight_from_density(
        segments.t_start, segments.t_end, density, ray_indices=segments.ray, n_rays=segments.n_rays
    )
    return weight


def visible_cuda(
    density: Float[Tensor, "s"], segments: Segments, alpha_threshold: float, stop_below: float
) -> Bool[Tensor, "s"]:
    return nerfacc.render_visibility_from_density(
        segments.t_start,
        segments.t_end,
        density,
        ray_indices=segments.ray,
        n_rays=segments.n_rays,
        early_stop_eps=stop_below,
        alpha_thre=alpha_threshold,
    )


def accumulate_cuda(
    weight: Float[Tensor, "s"], values: Float[Tensor, "s c"], segments: Segments
) -> Float[Tensor, "r c"]:
    return nerfacc.accumulate_along_rays(weight, values, ray_indices=segments.ray, n_rays=segments.n_rays)
