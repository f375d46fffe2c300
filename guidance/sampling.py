"""Images from a prior: what a sampler is, and DDIM (Song et al. 2021, equations 12 and 16)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from data.errors import UserError
from data.ranges import Fraction, NonNegativeFloat, PositiveInt
from guidance.cfg import predict
from guidance.diffusion import alpha_sigma, noise_to_x0
from guidance.prior import Conditions, TextPrior

Randomness = torch.Generator | Sequence[torch.Generator]  # one, or one for each equal share of the images
Spacing = Callable[[int, int], list[int]]  # train_steps, steps -> the timesteps visited, and where the last step lands
THE_IMAGE = -1  # to land on: no noise is left


@runtime_checkable
class Sampler(Protocol):
    name: str  # for the record
    steps: int
    scale: float  # of classifier-free guidance

    def __call__(self, prior: TextPrior, conditions: Conditions, rng: Randomness) -> Float[Tensor, "b h w 3"]:
        """One image per condition; the views of an object come out together."""
        ...


def trailing(train_steps: int, steps: int) -> list[int]:
    """Evenly from the last timestep, pure noise, down to the image (Lin et al. 2023, "trailing")."""
    check_steps(train_steps, steps)
    return [*(round(train_steps * i / steps) - 1 for i in range(steps, 0, -1)), THE_IMAGE]


def original(train_steps: int, steps: int) -> list[int]:
    """As Stable Diffusion and MVDream were published: every (T // steps)-th timestep, plus one, and then 0, which is
    not quite the image. Where `steps` does not divide T, there are more of them than asked for."""
    check_steps(train_steps, steps)
    visited = [t + 1 for t in range(0, train_steps, train_steps // steps)]
    if visited[-1] >= train_steps:
        raise UserError(
            f"sampler.steps={steps}: the original spacing would begin at timestep {visited[-1]}, but the last is"
            f" {train_steps - 1}; choose another number, for instance 25 or 50"
        )
    return [*reversed(visited), 0]


class DDIM:
    """x_prev = alpha_prev x_0 + sqrt(sigma_prev^2 - fresh^2) eps + fresh z, with new noise z.

    eta: 0 adds no noise; 1 adds as much as the training's chain (DDPM).
    Not diffusers' scheduler: that takes t - T // steps for the previous timestep, which misses the next one of the
    list, and with "trailing" the image at its end, where `steps` doesn't divide T.
    """

    def __init__(
        self,
        steps: PositiveInt = 30,
        scale: NonNegativeFloat = 5.0,
        spacing: Spacing = trailing,
        eta: Fraction = 0.0,
    ) -> None:
        self.steps, self.scale, self.spacing, self.eta = steps, scale, spacing, eta
        self.name = f"DDIM({plain_name(spacing)}, eta={eta:g})"

    @torch.no_grad()
    def __call__(self, prior: TextPrior, conditions: Conditions, rng: Randomness) -> Float[Tensor, "b h w 3"]:
        count, levels = len(conditions.cond.text), prior.alphas_cumprod
        latents = draw(count, prior.latent_shape, rng).to(levels.device)
        visited = self.spacing(len(levels), self.steps)
        levels = torch.cat([levels, levels.new_ones(1)])  # THE_IMAGE is the last
        for now, previous in pairwise(visited):
            t, t_previous = (torch.full((count,), time, device=levels.device) for time in (now, previous))
            noise = predict(prior, latents, t, conditions).guided(self.scale)
            (alpha, sigma), (alpha_prev, sigma_prev) = alpha_sigma(levels, t), alpha_sigma(levels, t_previous)
            x0 = noise_to_x0(latents, noise, alpha, sigma)
            fresh = self.eta * sigma_prev / sigma * (1 - (alpha / alpha_prev) ** 2).sqrt()
            kept = (sigma_prev**2 - fresh**2).clamp(min=0).sqrt() if self.eta else sigma_prev
            latents = alpha_prev * x0 + kept * noise
            if self.eta:
                latents = latents + fresh * draw(count, prior.latent_shape, rng).to(levels.device)
        return prior.decode(latents)


def draw(count: int, shape: tuple[int, int, int], rng: Randomness) -> Float[Tensor, "b c y x"]:
    """Normal noise, on the generators' device. Each of several draws for its own share, as if it were alone."""
    generators = share_out(count, rng)
    share = count // len(generators)
    return torch.cat([torch.randn((share, *shape), generator=one, device=one.device) for one in generators])


def share_out(count: int, rng: Randomness) -> list[torch.Generator]:
    generators = [rng] if isinstance(rng, torch.Generator) else list(rng)
    assert count % len(generators) == 0, f"{count} images are no equal shares for {len(generators)} generators"
    return generators


def check_steps(train_steps: int, steps: int) -> None:
    if steps > train_steps:
        raise UserError(f"sampler.steps={steps}: the prior has {train_steps} timesteps; choose no more than those")


def plain_name(chosen: Callable[..., object]) -> str:
    """Of a function or class, also of one that a configuration has filled in in part."""
    return plain_name(chosen.func) if isinstance(chosen, partial) else chosen.__name__
