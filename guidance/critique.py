"""The question every guidance asks: noise the images, and see which noise the prior finds in them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import interpolate

from guidance.cfg import Predictions, predict
from guidance.diffusion import alpha_sigma, draw_noise
from guidance.prior import Conditions, Prior


@dataclass(frozen=True)
class Critique:
    """Only `latents` carry gradient, back to the images."""

    latents: Float[Tensor, "b c y x"]
    noise: Float[Tensor, "b c y x"]
    noisy: Float[Tensor, "b c y x"]
    alpha: Float[Tensor, "b 1 1 1"]
    sigma: Float[Tensor, "b 1 1 1"]
    found: Predictions


def critique(
    prior: Prior,
    latents: Float[Tensor, "b c y x"],
    t: Int[Tensor, "b"],
    conditions: Conditions,
    rng: torch.Generator,
) -> Critique:
    """x_t = alpha z + sigma eps, and the prior's predictions of eps from it."""
    alpha, sigma = alpha_sigma(prior.alphas_cumprod, t)
    noise = draw_noise(latents, rng)
    noisy = alpha * latents.detach() + sigma * noise
    return Critique(latents, noise, noisy, alpha, sigma, predict(prior, noisy, t, conditions))


def encode(
    prior: Prior, images: Float[Tensor, "b h w 3"], rng: torch.Generator, sample: bool
) -> Float[Tensor, "b c y x"]:
    """Latents of images of any size: bilinear to the prior's, then its encoder's posterior, sampled or its mean."""
    size = (prior.image_size, prior.image_size)
    resized = interpolate(images.movedim(-1, 1), size, mode="bilinear", align_corners=False).movedim(1, -1)
    return prior.encode(resized, rng if sample else None)


def root_mean_square(x: Float[Tensor, "*shape"]) -> Float[Tensor, ""]:
    return x.square().mean().sqrt()
