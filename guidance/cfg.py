"""Classifier-free guidance (Ho and Salimans 2022): all predictions in one pass of the prior, and the one formula."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from guidance.perp_neg import perpendicular
from guidance.prior import Conditions, Prior, join


@dataclass(frozen=True)
class Predictions:
    """The noise that the prior finds, with the prompt and without; and how far Perp-Neg bends the former."""

    cond: Float[Tensor, "b c y x"]
    uncond: Float[Tensor, "b c y x"]
    detour: Float[Tensor, "b c y x"] | None = None

    def guided(self, scale: float) -> Float[Tensor, "b c y x"]:
        return guide(self.cond if self.detour is None else self.cond + self.detour, self.uncond, scale)


def guide(cond: Float[Tensor, "b c y x"], uncond: Float[Tensor, "b c y x"], scale: float) -> Float[Tensor, "b c y x"]:
    """u + s (c - u): s = 0 is unconditional, s = 1 conditional."""
    return uncond + scale * (cond - uncond)


def predict(prior: Prior, noisy: Float[Tensor, "b c y x"], t: Int[Tensor, "b"], conditions: Conditions) -> Predictions:
    """From one batch of 2b images, 3b and more with Perp-Neg; groups of views stay together.

    The detour is sum_i w_i perp(n_i - u, c - u) (Armandpour et al. 2023, Perp-Neg, equation 8).
    """
    asked = [conditions.cond, conditions.uncond, *(one.condition for one in conditions.avoided)]
    n = len(asked)
    found = prior.predict_noise(torch.cat([noisy] * n), torch.cat([t] * n), join(asked)).chunk(n)
    cond, uncond, *avoided = found
    if not avoided:
        return Predictions(cond, uncond)
    away = zip(conditions.avoided, avoided, strict=True)
    terms = [one.weight[:, None, None, None] * perpendicular(noise - uncond, cond - uncond) for one, noise in away]
    return Predictions(cond, uncond, torch.stack(terms).sum(dim=0))
