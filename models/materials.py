"""What matter looks like: features, and for lit materials normals and a light, to colour."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from data.ranges import Fraction, NonNegativeFloat, PositiveInt


@dataclass(frozen=True)
class Light:
    """One point light per image; the colour factors are shared by the batch. `image`: which image each point is in.

    camera, turn: for materials under an environment: where each image is seen from, and the angle by which the
    environment stands turned about the vertical.
    """

    position: Float[Tensor, "b 3"]
    ambient: float = 1.0
    diffuse: float = 0.0
    textured: bool = True  # False: white surfaces, so that only the shape explains the shading
    image: Int[Tensor, "n"] | None = None
    camera: Float[Tensor, "b 3"] | None = None
    turn: Float[Tensor, "b"] | None = None

    @property
    def needs_normals(self) -> bool:
        return self.diffuse > 0

    def on(self, image: Int[Tensor, "n"]) -> Light:
        return replace(self, image=image)

    def direction(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        """Unit vectors from the points to the light."""
        return nn.functional.normalize(self.of_each(self.position, points) - points, dim=-1)

    def of_each(self, value: Float[Tensor, "b *d"], points: Float[Tensor, "n 3"]) -> Float[Tensor, "n *d"]:
        """What images have, for their points."""
        if self.image is None:
            return value.expand(len(points), *value.shape[1:])
        return value.index_select(0, self.image)


@runtime_checkable
class Material(Protocol):
    def light(self, camera: Float[Tensor, "b 3"], rng: torch.Generator | None) -> Light:
        """The light of a render: drawn with `rng` (training), else fixed."""
        ...

    def albedo(self, features: Float[Tensor, "n f"]) -> Float[Tensor, "n 3"]:
        """The unlit colour in [0, 1], sRGB."""
        ...

    def roughness_metallic(self, features: Float[Tensor, "n f"]) -> Float[Tensor, "n 2"] | None:
        """In [0, 1], linear; None: the exported object shines by itself, with its albedo."""
        ...

    def __call__(
        self,
        features: Float[Tensor, "n f"],
        points: Float[Tensor, "n 3"],
        normal: Float[Tensor, "n 3"] | None,
        light: Light,
    ) -> Float[Tensor, "n 3"]: ...


class Albedo(nn.Module):
    """The surface shines by itself: rgb = sigmoid(features)."""

    def light(self, camera: Float[Tensor, "b 3"], rng: torch.Generator | None) -> Light:
        return Light(camera)

    def albedo(self, features: Float[Tensor, "n f"]) -> Float[Tensor, "n 3"]:
        return torch.sigmoid(features[:, :3])

    def roughness_metallic(self, features: Float[Tensor, "n f"]) -> Float[Tensor, "n 2"] | None:
        return None

    def forward(
        self,
        features: Float[Tensor, "n f"],
        points: Float[Tensor, "n 3"],
        normal: Float[Tensor, "n 3"] | None,
        light: Light,
    ) -> Float[Tensor, "n 3"]:
        return self.albedo(features)


class DiffusePointLight(nn.Module):
    """Lambert: rgb = albedo (ambient + diffuse max(n . l, 0)), the light near the camera (DreamFusion, sec. 3.1).

    In training a render is lit with probability `diffuse_probability` (let a schedule hold it at 0 for the first steps
    to train on albedo alone), and a lit one is textureless with probability `textureless_probability`. With
    `soft_shading` the diffuse share of a lit render is drawn from U(0, 1) and ambient = 1 - diffuse (Magic3D).
    `group_size` consecutive images are views of one object, and of one light.
    """

    def __init__(
        self,
        ambient: NonNegativeFloat = 0.1,
        diffuse: NonNegativeFloat = 0.9,
        diffuse_probability: Fraction = 0.75,
        textureless_probability: Fraction = 0.5,
        soft_shading: bool = False,
        light_noise: NonNegativeFloat = 1.0,
        light_distance: tuple[float, float] = (0.8, 1.5),
        group_size: PositiveInt = 4,
    ) -> None:
        super().__init__()
        self.ambient, self.diffuse = ambient, diffuse
        self.diffuse_probability, self.textureless_probability = diffuse_probability, textureless_probability
        self.soft_shading = soft_shading
        self.light_noise, self.light_distance = light_noise, light_distance
        self.group_size = group_size

    def light(self, camera: Float[Tensor, "b 3"], rng: torch.Generator | None) -> Light:
        """l = U(distance) normalize(camera + noise N(0, 1)), one distance and one noise for the views of an object."""
        if rng is None:
            return Light(camera, self.ambient, self.diffuse)
        groups = -(-len(camera) // self.group_size)
        draws = torch.rand(3 + groups, generator=rng, device=rng.device)
        lit, textureless, soft = draws[:3].tolist()
        noise = self.light_noise * torch.randn(groups, 3, generator=rng, device=rng.device)
        share = lambda x: x.repeat_interleave(self.group_size, dim=0)[: len(camera)].to(camera.device)
        nearest, farthest = self.light_distance
        distance = nearest + share(draws[3:, None]) * (farthest - nearest)
        position = nn.functional.normalize(camera + share(noise), dim=-1) * distance
        if lit >= self.diffuse_probability:
            return Light(position)
        ambient, diffuse = (1 - soft, soft) if self.soft_shading else (self.ambient, self.diffuse)
        return Light(position, ambient, diffuse, textured=textureless >= self.textureless_probability)

    def albedo(self, features: Float[Tensor, "n f"]) -> Float[Tensor, "n 3"]:
        return torch.sigmoid(features[:, :3])

    def roughness_metallic(self, features: Float[Tensor, "n f"]) -> Float[Tensor, "n 2"]:
        """Matt, and no metal: any viewer's light shades it as this one does."""
        return torch.tensor([1.0, 0.0], device=features.device).expand(len(features), 2)

    def forward(
        self,
        features: Float[Tensor, "n f"],
        points: Float[Tensor, "n 3"],
        normal: Float[Tensor, "n 3"] | None,
        light: Light,
    ) -> Float[Tensor, "n 3"]:
        color = self.albedo(features) if light.textured else features.new_ones(len(features), 3)
        if light.diffuse == 0:
            return light.ambient * color
        assert normal is not None, "a lit material needs normals"
        lambert = (normal * light.direction(points)).sum(dim=-1, keepdim=True).clamp(min=0)
        return color * (light.ambient + light.diffuse * lambert)
