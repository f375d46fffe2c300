"""How close renders come to the true object, seen from the same cameras."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class GroundTruthScore:
    silhouette_iou: float  # 0 to 1
    psnr: float  # dB


def compare(
    rgb: Float[Tensor, "b h w 3"],
    opacity: Float[Tensor, "b h w 1"],
    true_rgb: Float[Tensor, "b h w 3"],
    true_opacity: Float[Tensor, "b h w 1"],
) -> GroundTruthScore:
    """Both scores of b views; colours in [0, 1], over the same background."""
    return GroundTruthScore(silhouette_iou(opacity, true_opacity), psnr(rgb, true_rgb))


def silhouette_iou(a: Float[Tensor, "b h w 1"], b: Float[Tensor, "b h w 1"], threshold: float = 0.5) -> float:
    """Intersection over union of the opaque pixels, mean over views; two empty views agree."""
    mask_a, mask_b = a.flatten(1) > threshold, b.flatten(1) > threshold
    intersection = (mask_a & mask_b).sum(dim=1).float()
    union = (mask_a | mask_b).sum(dim=1).float()
    return intersection.div(union).nan_to_num(nan=1.0).mean().item()


def psnr(a: Float[Tensor, "b h w 3"], b: Float[Tensor, "b h w 3"], floor: float = 1e-10) -> float:
    """-10 log10 of the mean squared error of colours in [0, 1], mean over views; equal views give 100 dB."""
    error = (a - b).square().flatten(1).mean(dim=1)
    return (-10 * error.clamp(min=floor).log10()).mean().item()
