"""The forward process x_t = alpha x_0 + sigma eps, alpha^2 = alpha_bar, sigma^2 = 1 - alpha_bar; and its inverses."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from data.errors import UserError


def alpha_sigma(
    alphas_cumprod: Float[Tensor, "t"], t: Int[Tensor, "b"]
) -> tuple[Float[Tensor, "b 1 1 1"], Float[Tensor, "b 1 1 1"]]:
    """Signal and noise levels at t, ready to multiply latents."""
    alpha_bar = alphas_cumprod[t][:, None, None, None]
    return alpha_bar.sqrt(), (1 - alpha_bar).sqrt()


def draw_timesteps(
    count: int, low: float, high: float, train_steps: int, rng: torch.Generator, shared_by: int = 1
) -> Int[Tensor, "b"]:
    """Uniform timesteps of `count` images, the same for each `shared_by` that follow each other; `low` and `high` are
    fractions of the process, both ends included."""
    first, last = (min(round(bound * train_steps), train_steps - 1) for bound in (low, high))
    if first > last:
        raise UserError(f"guidance.min_t={low:g} lies above guidance.max_t={high:g}; choose it below")
    drawn = torch.randint(first, last + 1, (count // shared_by,), generator=rng, device=rng.device)
    return drawn.repeat_interleave(shared_by)


def draw_noise(like: Float[Tensor, "*shape"], rng: torch.Generator) -> Float[Tensor, "*shape"]:
    """Standard normal noise, drawn where the generator lives so that a CPU seed means the same on every device."""
    return torch.randn(like.shape, generator=rng, device=rng.device, dtype=like.dtype).to(like.device)


def noise_to_x0(
    noisy: Float[Tensor, "b c y x"],
    noise: Float[Tensor, "b c y x"],
    alpha: Float[Tensor, "b 1 1 1"],
    sigma: Float[Tensor, "b 1 1 1"],
) -> Float[Tensor, "b c y x"]:
    """x_0 = (x_t - sigma eps) / alpha."""
    return (noisy - sigma * noise) / alpha


def v_to_noise(
    noisy: Float[Tensor, "b c y x"],
    v: Float[Tensor, "b c y x"],
    alpha: Float[Tensor, "b 1 1 1"],
    sigma: Float[Tensor, "b 1 1 1"],
) -> Float[Tensor, "b c y x"]:
    """eps = alpha v + sigma x_t, where v = alpha eps - sigma x_0 (Salimans and Ho 2022, appendix D)."""
    return alpha * v + sigma * noisy


def training_target(
    prediction_type: str,
    latents: Float[Tensor, "b c y x"],
    noise: Float[Tensor, "b c y x"],
    alpha: Float[Tensor, "b 1 1 1"],
    sigma: Float[Tensor, "b 1 1 1"],
) -> Float[Tensor, "b c y x"]:
    """What a network learns to predict: eps, or v = alpha eps - sigma x_0 (Salimans and Ho 2022)."""
    return noise if prediction_type == "epsilon" else alpha * noise - sigma * latents
