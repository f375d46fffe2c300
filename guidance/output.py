"""What every guidance returns, and the protocol that makes guidances interchangeable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from guidance.prior import Conditions, TextPrior


@dataclass(frozen=True)
class GuidanceOutput:
    loss: Float[Tensor, ""]  # sum over a latent, mean over the b images
    t: Int[Tensor, "b"]
    x0: Float[Tensor, "b c y x"]  # what the prior wants to see, without gradient; prior.decode draws it
    residual: Float[Tensor, ""]  # root mean square of eps_hat - eps, for the log
    critic: Float[Tensor, ""] | None = None  # loss of a critic that learns beside, included in `loss`


@runtime_checkable
class Guidance(Protocol):
    prior: TextPrior
    min_t: float  # fractions of the diffusion process; a schedule may move them
    max_t: float

    def __call__(
        self, images: Float[Tensor, "b h w 3"], conditions: Conditions, rng: torch.Generator
    ) -> GuidanceOutput:
        """The loss whose gradient, with respect to the images in [0, 1], pulls them towards the prior."""
        ...
