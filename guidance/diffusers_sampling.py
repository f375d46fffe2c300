"""Images from a prior by any scheduler of diffusers."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import torch
from diffusers import SchedulerMixin
from jaxtyping import Float
from torch import Tensor

from data.ranges import NonNegativeFloat, PositiveInt
from guidance.cfg import predict
from guidance.prior import Conditions, TextPrior
from guidance.sampling import Randomness, check_steps, draw, plain_name, share_out


class DiffusersSampler:
    """scheduler: a class of diffusers that takes `trained_betas`, with what is not to be its default."""

    def __init__(
        self, scheduler: Callable[..., SchedulerMixin], steps: PositiveInt = 30, scale: NonNegativeFloat = 5.0
    ) -> None:
        self.scheduler, self.steps, self.scale = scheduler, steps, scale
        self.name = plain_name(scheduler)

    @torch.no_grad()
    def __call__(self, prior: TextPrior, conditions: Conditions, rng: Randomness) -> Float[Tensor, "b h w 3"]:
        count, device = len(conditions.cond.text), prior.alphas_cumprod.device
        scheduler = self._for(prior.alphas_cumprod)
        scheduler.set_timesteps(self.steps, device=device)
        generators = [one for one in share_out(count, rng) for _ in range(count // len(share_out(count, rng)))]
        takes_noise = "generator" in inspect.signature(scheduler.step).parameters
        randomness = {"generator": generators} if takes_noise else {}
        latents = draw(count, prior.latent_shape, rng).to(device) * scheduler.init_noise_sigma
        for time in scheduler.timesteps:
            # Spacings by sigma visit fractions of a timestep; the prior's table and its time embedding know whole ones
            t = torch.full((count,), round(float(time)), device=device)
            noise = predict(prior, scheduler.scale_model_input(latents, time), t, conditions).guided(self.scale)
            latents = scheduler.step(noise, time, latents, **randomness).prev_sample
        return prior.decode(latents)

    def _for(self, alphas_cumprod: Float[Tensor, "t"]) -> SchedulerMixin:
        """Fresh, since schedulers keep state, with this prior's noise: beta_t = 1 - alpha_bar_t / alpha_bar_(t - 1)."""
        check_steps(len(alphas_cumprod), self.steps)
        levels = alphas_cumprod.double().cpu()
        betas = 1 - levels / torch.cat([levels.new_ones(1), levels[:-1]])
        known = {"num_train_timesteps": len(betas), "trained_betas": betas.tolist(), "prediction_type": "epsilon"}
        # For pixels in [-1, 1], and some classes' default; latents have no such bounds
        clips = "clip_sample" in inspect.signature(self.scheduler).parameters
        return self.scheduler(**known, **({"clip_sample": False} if clips else {}))
