"""Classifier-free guidance (Ho and Salimans 2022): both predictions in one pass of the prior, and the one formula."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from guidance.prior import Condition, Prior


def guide(cond: Float[Tensor, "b c y x"], uncond: Float[Tensor, "b c y x"], scale: float) -> Float[Tensor, "b c y x"]:
    """u + s (c - u): s = 0 is unconditional, s = 1 conditional."""
    return uncond + scale * (cond - uncond)


def predict_both(
    prior: Prior, noisy: Float[Tensor, "b c y x"], t: Int[Tensor, "b"], cond: Condition, uncond: Condition
) -> tuple[Float[Tensor, "b c y x"], Float[Tensor, "b c y x"]]:
    """The conditional and the unconditional noise, from one batch of 2b; groups of views stay together."""
    both = Condition(torch.cat([cond.text, uncond.text]), _join(cond.camera, uncond.camera))
    noise_cond, noise_uncond = prior.predict_noise(torch.cat([noisy, noisy]), torch.cat([t, t]), both).chunk(2)
    return noise_cond, noise_uncond


def _join(a: Float[Tensor, "b 16"] | None, b: Float[Tensor, "b 16"] | None) -> Float[Tensor, "_ 16"] | None:
    return None if a is None or b is None else torch.cat([a, b])
