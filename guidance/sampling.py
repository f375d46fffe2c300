"""Images from a prior, by deterministic DDIM (Song et al. 2021, eq. 12 with sigma = 0)."""

from __future__ import annotations

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from data.errors import UserError
from guidance.cfg import predict
from guidance.diffusion import alpha_sigma, noise_to_x0
from guidance.prior import Conditions, TextPrior


def trailing_timesteps(train_steps: int, steps: int) -> list[int]:
    """Evenly from the last timestep, pure noise, down (Lin et al. 2023, "trailing"); `steps` of them."""
    if steps > train_steps:
        raise UserError(f"steps={steps}: the prior has {train_steps} timesteps; choose no more than those")
    return [round(train_steps * i / steps) - 1 for i in range(steps, 0, -1)]


@torch.no_grad()
def sample(
    prior: TextPrior, conditions: Conditions, rng: torch.Generator, steps: int = 30, scale: float = 5.0
) -> Float[Tensor, "b h w 3"]:
    """One image per condition; the views of an object come out together.

    x_prev = alpha_prev x_0 + sigma_prev eps. Not diffusers' scheduler: it takes t - T // steps for the previous
    timestep, which misses the next one of the list, and the image at its end, where `steps` doesn't divide T.
    """
    device, count = prior.alphas_cumprod.device, len(conditions.cond.text)
    levels = torch.cat([prior.alphas_cumprod, prior.alphas_cumprod.new_ones(1)])  # -1: the image itself
    latents = torch.randn((count, *prior.latent_shape), generator=rng, device=rng.device).to(device)
    for now, previous in pairwise([*trailing_timesteps(len(prior.alphas_cumprod), steps), -1]):
        t, t_previous = (torch.full((count,), time, device=device) for time in (now, previous))
        noise = predict(prior, latents, t, conditions).guided(scale)
        x0 = noise_to_x0(latents, noise, *alpha_sigma(levels, t))
        alpha, sigma = alpha_sigma(levels, t_previous)
        latents = alpha * x0 + sigma * noise
    return prior.decode(latents)
