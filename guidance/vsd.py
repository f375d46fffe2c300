"""Variational score distillation (Wang et al. 2023, ProlificDreamer, algorithm 1), with one particle."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from data.ranges import Fraction, NonNegativeFloat, NonNegativeInt, PositiveInt
from guidance.critic import AdaptablePrior, Critic
from guidance.critique import critique, encode, root_mean_square
from guidance.diffusion import alpha_sigma, draw_noise, draw_timesteps, noise_to_x0
from guidance.output import GuidanceOutput
from guidance.prior import Conditions
from guidance.sds import with_gradient
from guidance.weighting import dreamfusion


class VSD(nn.Module):
    """grad_z L = w(t) (eps_hat(x_t, t) - eps_phi(x_t, t, c)): SDS with the noise replaced by what the critic, who knows
    how the renders look now, finds. The critic learns beside, |eps_phi(x_t', t', c) - eps'|^2 on the same renders.

    camera_dropout: how often the critic learns without the camera.
    clip: bound of each entry of the gradient, as in SDS.
    """

    def __init__(
        self,
        prior: AdaptablePrior,
        scale: NonNegativeFloat = 7.5,
        weighting: Callable[[Tensor], Tensor] = dreamfusion,
        min_t: Fraction = 0.02,
        max_t: Fraction = 0.98,
        sample_posterior: bool = True,
        rank: PositiveInt = 4,
        camera_dropout: Fraction = 0.1,
        critic_weight: NonNegativeFloat = 1.0,
        clip: NonNegativeFloat | None = None,
        seed: NonNegativeInt = 0,
    ) -> None:
        super().__init__()
        self.prior, self.critic = prior, Critic(prior, rank, seed)
        self.scale, self.weighting = scale, weighting
        self.min_t, self.max_t = min_t, max_t
        self.sample_posterior = sample_posterior
        self.camera_dropout, self.critic_weight, self.clip = camera_dropout, critic_weight, clip

    def forward(self, images: Float[Tensor, "b h w 3"], conditions: Conditions, rng: torch.Generator) -> GuidanceOutput:
        latents = encode(self.prior, images, rng, self.sample_posterior)
        t = self._draw_timesteps(latents, self.min_t, self.max_t, rng)
        seen = critique(self.prior, latents, t, conditions, rng)
        noise = seen.found.guided(self.scale)
        with torch.no_grad():
            expected = self.critic(seen.noisy, t, conditions.cond.text, _camera(conditions))
        residual = noise - expected
        lesson = self.teach(latents.detach(), conditions, rng)
        weight = self.weighting(self.prior.alphas_cumprod[t])[:, None, None, None]
        return GuidanceOutput(
            loss=with_gradient(latents, weight * residual, self.clip) + self.critic_weight * lesson,
            t=t,
            x0=noise_to_x0(seen.noisy, noise, seen.alpha, seen.sigma),
            residual=root_mean_square(residual),
            critic=lesson.detach(),
        )

    def teach(
        self, latents: Float[Tensor, "b c y x"], conditions: Conditions, rng: torch.Generator
    ) -> Float[Tensor, ""]:
        """The critic's own denoising loss, at any timestep; views of an object share theirs."""
        n_view = self.prior.n_view
        t = self._draw_timesteps(latents, 0.0, 1.0, rng)
        alpha, sigma = alpha_sigma(self.prior.alphas_cumprod, t)
        noise = draw_noise(latents, rng)
        kept = torch.rand(len(latents) // n_view, 1, generator=rng, device=rng.device) >= self.camera_dropout
        camera = _camera(conditions) * kept.to(latents.device).repeat_interleave(n_view, dim=0)
        found = self.critic(alpha * latents + sigma * noise, t, conditions.cond.text, camera)
        return mse_loss(found, noise)

    def _draw_timesteps(
        self, latents: Float[Tensor, "b c y x"], low: float, high: float, rng: torch.Generator
    ) -> Int[Tensor, "b"]:
        """One for all views of an object."""
        train_steps, n_view = len(self.prior.alphas_cumprod), self.prior.n_view
        return draw_timesteps(len(latents), low, high, train_steps, rng, n_view).to(latents.device)


def _camera(conditions: Conditions) -> Float[Tensor, "b 16"]:
    assert conditions.camera is not None, "variational score distillation needs to know the cameras"
    return conditions.camera
