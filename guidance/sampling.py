"""Images from a prior, by deterministic DDIM (Song et al. 2021)."""

from __future__ import annotations

import torch
from diffusers import DDIMScheduler
from jaxtyping import Float
from torch import Tensor

from guidance.cfg import guide, predict_both
from guidance.prior import Condition, TextPrior


def ddim_scheduler(alphas_cumprod: Float[Tensor, "t"], steps: int) -> DDIMScheduler:
    """Steps evenly from the last timestep down ("trailing", Lin et al. 2023), for predictions of eps."""
    previous = torch.cat([alphas_cumprod.new_ones(1), alphas_cumprod[:-1]])
    scheduler = DDIMScheduler(
        num_train_timesteps=len(alphas_cumprod),
        trained_betas=(1 - alphas_cumprod / previous).cpu().numpy(),
        timestep_spacing="trailing",
        clip_sample=False,
    )
    scheduler.set_timesteps(steps, device=alphas_cumprod.device)
    return scheduler


@torch.no_grad()
def sample(
    prior: TextPrior, cond: Condition, uncond: Condition, rng: torch.Generator, steps: int = 30, scale: float = 5.0
) -> Float[Tensor, "b h w 3"]:
    """One image per condition; the views of an object come out together."""
    device = prior.alphas_cumprod.device
    scheduler = ddim_scheduler(prior.alphas_cumprod, steps)
    count = len(cond.text)
    latents = torch.randn((count, *prior.latent_shape), generator=rng, device=rng.device).to(device)
    for t in scheduler.timesteps:
        noise = guide(*predict_both(prior, latents, t.expand(count), cond, uncond), scale)
        latents = scheduler.step(noise, t, latents).prev_sample
    return prior.decode(latents)
