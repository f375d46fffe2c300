"""Score distillation sampling with a 2D prior (Poole et al. 2022, equation 3)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from data.ranges import Fraction, NonNegativeFloat
from guidance.critique import critique, encode, root_mean_square
from guidance.diffusion import draw_timesteps, noise_to_x0
from guidance.output import GuidanceOutput
from guidance.prior import Conditions, TextPrior
from guidance.weighting import dreamfusion


class SDS:
    """grad_z L = w(t) (eps_hat(x_t, t) - eps), each image noised by its own t; the views of an object share theirs.

    clip: bound of each entry of that gradient; rising over the run, it is the score debiasing of Hong et al. 2023.
    """

    def __init__(
        self,
        prior: TextPrior,
        scale: NonNegativeFloat = 100.0,
        weighting: Callable[[Tensor], Tensor] = dreamfusion,
        min_t: Fraction = 0.02,
        max_t: Fraction = 0.98,
        sample_posterior: bool = True,
        clip: NonNegativeFloat | None = None,
    ) -> None:
        self.prior = prior
        self.scale = scale
        self.weighting = weighting
        self.min_t = min_t
        self.max_t = max_t
        self.sample_posterior = sample_posterior
        self.clip = clip

    def __call__(
        self, images: Float[Tensor, "b h w 3"], conditions: Conditions, rng: torch.Generator
    ) -> GuidanceOutput:
        alphas_cumprod = self.prior.alphas_cumprod
        latents = encode(self.prior, images, rng, self.sample_posterior)
        train_steps, n_view = len(alphas_cumprod), self.prior.n_view
        t = draw_timesteps(len(latents), self.min_t, self.max_t, train_steps, rng, n_view).to(latents.device)
        seen = critique(self.prior, latents, t, conditions, rng)
        noise = seen.found.guided(self.scale)
        residual = noise - seen.noise
        weight = self.weighting(alphas_cumprod[t])[:, None, None, None]
        return GuidanceOutput(
            loss=with_gradient(latents, weight * residual, self.clip),
            t=t,
            x0=noise_to_x0(seen.noisy, noise, seen.alpha, seen.sigma),
            residual=root_mean_square(residual),
        )


def with_gradient(
    latents: Float[Tensor, "b c y x"], gradient: Float[Tensor, "b c y x"], clip: float | None = None
) -> Float[Tensor, ""]:
    """0.5 ||z - sg(z - g)||^2 / b, a loss whose gradient with respect to z is g / b; each entry of g within +- clip.

    What a prior in float16 overflows to counts as nothing: one NaN would spoil the scene for good.
    """
    gradient = torch.nan_to_num(gradient, nan=0.0, posinf=0.0, neginf=0.0)
    if clip is not None:
        gradient = gradient.clamp(-clip, clip)
    target = (latents - gradient).detach()
    return 0.5 * (latents - target).square().sum() / len(latents)
