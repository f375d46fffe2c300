"""Multi-view score distillation in its x_0-reconstruction form (MVDream, Shi et al. 2023, section 3.3)."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from data.ranges import Fraction, NonNegativeFloat
from guidance.critique import critique, encode, root_mean_square
from guidance.diffusion import draw_timesteps, noise_to_x0
from guidance.output import GuidanceOutput
from guidance.prior import Conditions, TextPrior
from guidance.reconstruction import InLatents, Reconstruction


class MultiViewSDS:
    """L = 0.5 ||z - sg(x0_hat)||^2 / b, which is SDS with weight sigma / alpha. The views of an object share t.

    one_t: how many images share a timestep, the views of one object or (MVDream's code) the whole batch.
    reconstruction: where the two are compared, by default in latents as in the formula.
    """

    def __init__(
        self,
        prior: TextPrior,
        scale: NonNegativeFloat = 50.0,
        rescale: Fraction = 0.5,
        min_t: Fraction = 0.02,
        max_t: Fraction = 0.98,
        sample_posterior: bool = True,
        one_t: Literal["group", "batch"] = "group",
        reconstruction: Reconstruction | None = None,
    ) -> None:
        self.prior = prior
        self.scale = scale
        self.rescale = rescale
        self.min_t = min_t
        self.max_t = max_t
        self.sample_posterior = sample_posterior
        self.one_t = one_t
        self.reconstruction = reconstruction or InLatents()

    def __call__(
        self, images: Float[Tensor, "b h w 3"], conditions: Conditions, rng: torch.Generator
    ) -> GuidanceOutput:
        prior = self.prior
        with torch.set_grad_enabled(self.reconstruction.needs_encoder_gradient and torch.is_grad_enabled()):
            latents = encode(prior, images, rng, self.sample_posterior)
        shared_by = prior.n_view if self.one_t == "group" else len(latents)
        train_steps = len(prior.alphas_cumprod)
        t = draw_timesteps(len(latents), self.min_t, self.max_t, train_steps, rng, shared_by).to(latents.device)
        seen = critique(prior, latents, t, conditions, rng)
        noise = seen.found.guided(self.scale)
        x0_cond = noise_to_x0(seen.noisy, seen.found.cond, seen.alpha, seen.sigma)
        x0 = rescale_std(noise_to_x0(seen.noisy, noise, seen.alpha, seen.sigma), x0_cond, self.rescale, prior.n_view)
        return GuidanceOutput(
            loss=self.reconstruction(prior, images, latents, x0),
            t=t,
            x0=x0,
            residual=root_mean_square(noise - seen.noise),
        )


def rescale_std(
    x0: Float[Tensor, "b c y x"], x0_cond: Float[Tensor, "b c y x"], phi: float, n_view: int
) -> Float[Tensor, "b c y x"]:
    """phi (std(x0_cond) / std(x0)) x0 + (1 - phi) x0, where each std is taken over all views of an object together.

    Tames the over-saturation of strong guidance (Lin et al. 2023, section 3.4).
    """
    factor = _joint_std(x0_cond, n_view) / _joint_std(x0, n_view)
    return (phi * factor + (1 - phi)) * x0


def _joint_std(x: Float[Tensor, "b c y x"], n_view: int) -> Float[Tensor, "b 1 1 1"]:
    std = x.unflatten(0, (-1, n_view)).flatten(1).std(dim=1) + 1e-8
    return std.repeat_interleave(n_view)[:, None, None, None]
