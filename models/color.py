"""Between colours as displayed (sRGB: pictures, textures, albedo) and amounts of light (linear: what adds up).

Only shading by an environment needs amounts of light; everything else in a scene, losses included, is as displayed.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def linear_from_srgb(color: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """IEC 61966-2-1, inverse of the display curve."""
    return torch.where(color <= 0.04045, color / 12.92, ((color.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4)


def srgb_from_linear(light: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """IEC 61966-2-1, the display curve. Light beyond 1 saturates."""
    light = light.clamp(0, 1)
    return torch.where(light <= 0.0031308, light * 12.92, 1.055 * light.clamp(min=0.0031308) ** (1 / 2.4) - 0.055)
