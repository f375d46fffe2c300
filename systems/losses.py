"""Regularisers of a rendered scene, formulas as in threestudio (2023); the system applies the weights."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from data.errors import UserError
from models.scene import Scene
from renderers.output import RaySamples, RenderOutput


@runtime_checkable
class Loss(Protocol):
    weight: float  # a schedule may change it

    def __call__(self, scene: Scene, output: RenderOutput) -> Float[Tensor, ""]: ...


class Sparsity:
    """mean sqrt(o^2 + 0.01): as little opacity as the guidance allows."""

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def __call__(self, scene: Scene, output: RenderOutput) -> Float[Tensor, ""]:
        return (output.opacity.square() + 0.01).sqrt().mean()


class Opacity:
    """BCE(o, o) with o clamped to [0.001, 0.999]: each pixel either object or background, no fog."""

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def __call__(self, scene: Scene, output: RenderOutput) -> Float[Tensor, ""]:
        opacity = output.opacity.clamp(1e-3, 1 - 1e-3)
        return torch.nn.functional.binary_cross_entropy(opacity, opacity)


class Orientation:
    """sum sg(w) max(n . d, 0)^2 / #(opacity > 0): visible surfaces face the camera (Ref-NeRF 2022, eq. 8)."""

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def __call__(self, scene: Scene, output: RenderOutput) -> Float[Tensor, ""]:
        samples = _samples(output, "orientation", self.weight)
        if samples.normal is None:
            raise UserError(f"system.losses.orientation.weight={self.weight} needs normals: say renderer.normals=true")
        away = (samples.normal * samples.direction).sum(dim=-1).clamp(min=0)
        return (samples.weight.detach() * away.square()).sum() / _count((output.opacity > 0).sum(), output)


class ZVariance:
    """mean over rays with o > 0.5 of sum w (t - depth)^2, depth = sum w t: matter gathers on a thin surface (HiFA)."""

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def __call__(self, scene: Scene, output: RenderOutput) -> Float[Tensor, ""]:
        samples = _samples(output, "z_variance", self.weight)
        t = (samples.t_start + samples.t_end) / 2
        depth = output.depth.reshape(-1)
        spread = samples.weight * (t - depth[samples.ray]).square()
        variance = torch.zeros_like(depth).index_add(0, samples.ray, spread)
        solid = output.opacity.reshape(-1) > 0.5
        return (variance * solid).sum() / _count(solid.sum(), output)


class Eikonal:
    """mean (|grad s| - 1)^2 over the visible samples: s stays a distance (Gropp et al. 2020, IGR)."""

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def __call__(self, scene: Scene, output: RenderOutput) -> Float[Tensor, ""]:
        samples = output.samples
        if samples is None or samples.gradient is None:
            raise UserError(
                f"system.losses.eikonal.weight={self.weight} needs the gradients of a signed distance: say renderer=sdf"
                " and renderer.normals=true"
            )
        n = samples.ray.new_tensor(len(samples.gradient))
        return (samples.gradient.norm(dim=-1) - 1).square().sum() / _count(n, output)


def _count(own: Int[Tensor, ""], output: RenderOutput) -> Float[Tensor, ""]:
    """Of what a sum is divided by, at least 1 among all: so that the mean over processes is the ratio over all."""
    return output.share.mean(own.float()).clamp(min=1 / output.share.count)


def _samples(output: RenderOutput, name: str, weight: float) -> RaySamples:
    if output.samples is None:
        raise UserError(
            f"system.losses.{name}.weight={weight} needs samples along rays: say renderer=hashgrid, nerf or sdf, or set"
            " it to 0"
        )
    return output.samples
