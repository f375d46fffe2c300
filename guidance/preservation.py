"""How far a prior has moved from where it was before it was fine-tuned."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def distance(weights: Sequence[Tensor], start: Sequence[Tensor]) -> Float[Tensor, ""]:
    """|theta - theta_0|_1 / N over all N weights: MVDream's parameter preservation (Shi et al. 2023, section 3.4), in
    place of DreamBooth's class pictures. Its gradient is sign(theta - theta_0) / N, and 0 at theta_0."""
    total = torch.stack([(now - before).abs().sum() for now, before in zip(weights, start, strict=True)]).sum()
    return total / sum(now.numel() for now in weights)
