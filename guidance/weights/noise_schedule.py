"""The noise schedule of Stable Diffusion, which MVDream shares: betas that are linear in their square roots."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from diffusers import DDIMScheduler
from jaxtyping import Float64
from torch import Tensor

FIRST, LAST, STEPS = 0.00085, 0.0120, 1000


def betas() -> Float64[Tensor, "t"]:
    return torch.linspace(FIRST**0.5, LAST**0.5, STEPS, dtype=torch.float64) ** 2


def check_schedule(tensors: Mapping[str, Tensor]) -> None:
    """Raises ValueError if an original checkpoint was trained with another schedule."""
    expected = {"betas": betas(), "alphas_cumprod": (1 - betas()).cumprod(0)}
    for name, values in expected.items():
        found = tensors.get(name)
        if found is None:
            continue
        rounding = 4 * torch.finfo(found.dtype).eps
        if found.shape != values.shape or not torch.allclose(found.double(), values, rtol=rounding, atol=1e-7):
            raise ValueError(f"with another noise schedule than Stable Diffusion's: see its {name}")


def new_scheduler(prediction_type: Literal["epsilon", "v_prediction"]) -> DDIMScheduler:
    """As the original samples: from step 1 on, towards the first alpha and not beyond it."""
    return DDIMScheduler(
        num_train_timesteps=STEPS,
        beta_start=FIRST,
        beta_end=LAST,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type=prediction_type,
    )
