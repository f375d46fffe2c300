"""How a rough surface reflects: GGX microfacets with Smith's shadowing (Walter et al. 2007; Heitz 2014).

roughness is the perceptual one of glTF, alpha = roughness^2.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import grid_sample

LEAST_COSINE, LEAST_ALPHA = 1e-2, 1e-3


def distribution(cosine: Float[Tensor, "*n"], roughness: float) -> Float[Tensor, "*n"]:
    """D(h): how many facets look along h, `cosine` = n . h."""
    alpha = max(roughness**2, LEAST_ALPHA)
    return alpha**2 / (math.pi * (cosine**2 * (alpha**2 - 1) + 1) ** 2)


def shadowing(cosine: Float[Tensor, "*n"], roughness: float) -> Float[Tensor, "*n"]:
    """Lambda: G = 1 / (1 + Lambda(n . v) + Lambda(n . l)), the share of facets that is seen and lit."""
    tangent = (1 - cosine**2).clamp(min=0) / cosine.clamp(min=LEAST_COSINE) ** 2
    return ((1 + roughness**4 * tangent).sqrt() - 1) / 2


class Reflectance(nn.Module):
    """The share of light from all around that is reflected, under Fresnel's law as Schlick has it.

    A table over n . v and roughness of the two numbers in F0 A + B (Karis 2013), integrated here. What single
    reflections lose, the later ones between facets return: the factor 1 + F0 (1 / (A + B) - 1) (Turquin 2019), so that
    a white metal reflects everything.
    """

    table: Float[Tensor, "2 r c"]

    def __init__(self, resolution: int = 32, n_samples: int = 1024) -> None:
        super().__init__()
        axis = torch.linspace(0, 1, resolution)
        table = torch.stack(
            [_integral(axis.clamp(min=LEAST_COSINE), roughness, n_samples) for roughness in axis.tolist()]
        )
        self.register_buffer("table", table.permute(2, 0, 1), persistent=False)

    def forward(
        self, cosine: Float[Tensor, "n"], roughness: Float[Tensor, "n"], f0: Float[Tensor, "n c"]
    ) -> Float[Tensor, "n c"]:
        place = 2 * torch.stack([cosine, roughness], dim=-1) - 1
        found = grid_sample(self.table[None], place[None, None], align_corners=True, padding_mode="border")
        a, b = found[0, :, 0, :, None]
        return (f0 * a + b) * (1 + f0 * (1 / (a + b) - 1))


def _integral(cosine: Float[Tensor, "c"], roughness: float, n_samples: int) -> Float[Tensor, "c 2"]:
    """Facets drawn in proportion to D(h) (n . h), evenly: a rank-1 lattice."""
    index = torch.arange(n_samples) + 0.5
    share, turn = index / n_samples, 2 * math.pi * (index * (math.sqrt(5) - 1) / 2 % 1)
    alpha = max(roughness**2, LEAST_ALPHA)
    half_z = ((1 - share) / (1 + (alpha**2 - 1) * share)).sqrt()
    half_x = (1 - half_z**2).clamp(min=0).sqrt() * turn.cos()
    view_z, view_x = cosine[:, None], (1 - cosine**2).sqrt()[:, None]
    view_half = (view_x * half_x + view_z * half_z).clamp(min=0)
    light_z = 2 * view_half * half_z - view_z
    lambdas = shadowing(view_z, roughness) + shadowing(light_z, roughness)
    weight = torch.where(light_z > 0, view_half / (half_z * view_z * (1 + lambdas)), 0.0)
    fresnel = (1 - view_half) ** 5
    return torch.stack([(weight * (1 - fresnel)).mean(dim=1), (weight * fresnel).mean(dim=1)], dim=-1)
