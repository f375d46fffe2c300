"""Base colour, roughness, metallic, as glTF has them, under light from all around."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import normalize

from data.ranges import Fraction, PositiveInt
from models.color import linear_from_srgb, srgb_from_linear
from models.environment import Environment, turned
from models.materials import Light
from models.microfacets import Reflectance

DIELECTRIC = 0.04  # F0 of what is no metal


class PhysicallyBased(nn.Module):
    """Features 0 to 2: base colour, 3: roughness, 4: metallic, each through a sigmoid; at first a rough plastic.

    light = (1 - metallic) (1 - R(0.04)) base E(n) / pi + R(F0) L(r, roughness): matt below, shining above; R is the
    reflectance, F0 = 0.04 to base by metallic. Base colour is as displayed (sRGB) and made linear for this; what comes
    back is made displayable again, here, so that renders are compared, blended and stored like any other picture.

    turn: in training the environment stands in a random direction about the vertical, one for the views of an object
    (`group_size` consecutive images), so that nobody learns its highlights as colours.
    """

    def __init__(
        self,
        environment: Environment,
        least_roughness: Fraction = 0.1,
        turn: bool = True,
        group_size: PositiveInt = 4,
    ) -> None:
        super().__init__()
        self.environment = environment
        self.reflectance = Reflectance()
        self.least_roughness = least_roughness
        self.turn, self.group_size = turn, group_size

    def light(self, camera: Float[Tensor, "b 3"], rng: torch.Generator | None) -> Light:
        angle = camera.new_zeros(len(camera))
        if rng is not None and self.turn:
            drawn = torch.rand(-(-len(camera) // self.group_size), generator=rng, device=rng.device)
            angle = 2 * math.pi * drawn.repeat_interleave(self.group_size)[: len(camera)].to(camera.device)
        return Light(camera, ambient=0.0, diffuse=1.0, camera=camera, turn=angle)

    def albedo(self, features: Float[Tensor, "n f"]) -> Float[Tensor, "n 3"]:
        return torch.sigmoid(features[:, :3])

    def roughness_metallic(self, features: Float[Tensor, "n f"]) -> Float[Tensor, "n 2"]:
        roughness, metallic = torch.sigmoid(features[:, 3] + 1), torch.sigmoid(features[:, 4] - 2)
        return torch.stack([self.least_roughness + (1 - self.least_roughness) * roughness, metallic], dim=-1)

    def forward(
        self,
        features: Float[Tensor, "n f"],
        points: Float[Tensor, "n 3"],
        normal: Float[Tensor, "n 3"] | None,
        light: Light,
    ) -> Float[Tensor, "n 3"]:
        assert normal is not None and light.camera is not None and light.turn is not None
        view = normalize(light.of_each(light.camera, points) - points, dim=-1)
        return srgb_from_linear(self.radiance(features, normal, view, light.of_each(light.turn, points)))

    def radiance(
        self,
        features: Float[Tensor, "n f"],
        normal: Float[Tensor, "n 3"],
        view: Float[Tensor, "n 3"],
        turn: Float[Tensor, "n"],
    ) -> Float[Tensor, "n 3"]:
        """Linear light towards the viewer, who is in the direction `view`."""
        base = linear_from_srgb(self.albedo(features))
        roughness, metallic = self.roughness_metallic(features).unbind(dim=-1)
        cosine = (normal * view).sum(dim=-1)
        mirror = 2 * cosine[:, None] * normal - view
        dielectric = torch.full_like(base[:, :1], DIELECTRIC)
        matt = base * (1 - metallic[:, None]) * (1 - self.reflectance(cosine, roughness, dielectric))
        shine = self.reflectance(cosine, roughness, torch.lerp(dielectric, base, metallic[:, None]))
        received = self.environment.irradiance(turned(normal, -turn)) / math.pi
        return matt * received + shine * self.environment.reflection(turned(mirror, -turn), roughness)
