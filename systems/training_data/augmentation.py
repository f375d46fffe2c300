"""Pictures as distillation leaves them: a little blurred, noisy, too bright, beside the middle."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import affine_grid, conv2d, grid_sample, pad

from data.ranges import Fraction, NonNegativeFloat

RADIUS = 4  # of the blur's kernel, pixels


@dataclass(frozen=True)
class Augmentation:
    """What may happen to a picture, each drawn on its own; half of the pictures are also mirrored.

    sharp: the share that is neither blurred nor noisy. blur: the greatest standard deviation, pixels.
    noise: the greatest standard deviation. shift, zoom: of the picture's size.
    """

    sharp: Fraction = 0.3
    blur: NonNegativeFloat = 1.8
    noise: NonNegativeFloat = 0.04
    brightness: Fraction = 0.2
    contrast: Fraction = 0.15
    shift: Fraction = 0.06
    zoom: Fraction = 0.12

    def __call__(self, images: Float[Tensor, "b h w 3"], rng: torch.Generator) -> Float[Tensor, "b h w 3"]:
        uniform = lambda low, high: low + (high - low) * torch.rand(len(images), generator=rng, device=rng.device)
        spoiled = (uniform(0, 1) >= self.sharp).float()
        images = moved(
            images,
            zoom=uniform(1 - self.zoom, 1 + self.zoom),
            shift=torch.stack([uniform(-self.shift, self.shift) for _ in "xy"], dim=1),
            mirrored=uniform(0, 1) < 0.5,
        )
        images = blurred(images, spoiled * uniform(0, self.blur))
        per_picture = lambda x: x[:, None, None, None]
        deviation = per_picture(spoiled * uniform(0, self.noise))
        images = images + deviation * torch.randn(images.shape, generator=rng, device=rng.device)
        contrast = per_picture(uniform(1 - self.contrast, 1 + self.contrast))
        brightness = per_picture(uniform(1 - self.brightness, 1 + self.brightness))
        return (((images - 0.5) * contrast + 0.5) * brightness).clamp(0, 1)


def blurred(images: Float[Tensor, "b h w 3"], deviation: Float[Tensor, "b"]) -> Float[Tensor, "b h w 3"]:
    """By a Gaussian of a picture's own standard deviation, in pixels; the borders go on outwards."""
    b, height, width, _ = images.shape
    offset = torch.arange(-RADIUS, RADIUS + 1, device=images.device)
    kernel = torch.exp(-0.5 * (offset / deviation.clamp(min=1e-3)[:, None]).square())
    kernel = (kernel / kernel.sum(dim=1, keepdim=True)).repeat_interleave(3, dim=0)[:, None]
    pixels = pad(images.movedim(-1, 1), [RADIUS] * 4, mode="replicate").reshape(1, 3 * b, height + 2 * RADIUS, -1)
    pixels = conv2d(conv2d(pixels, kernel[..., None], groups=3 * b), kernel[:, :, None], groups=3 * b)
    return pixels.reshape(b, 3, height, width).movedim(1, -1)


def moved(
    images: Float[Tensor, "b h w c"],
    zoom: Float[Tensor, "b"],
    shift: Float[Tensor, "b 2"],
    mirrored: Bool[Tensor, "b"],
) -> Float[Tensor, "b h w c"]:
    """Larger by `zoom`, shifted by a share of the picture, mirrored; the borders go on outwards."""
    matrix = torch.zeros(len(images), 2, 3, device=images.device)
    matrix[:, 0, 0] = torch.where(mirrored, -1.0, 1.0) / zoom
    matrix[:, 1, 1] = 1 / zoom
    matrix[:, :, 2] = -2 * shift
    pixels = images.movedim(-1, 1)
    grid = affine_grid(matrix, list(pixels.shape), align_corners=False)
    return grid_sample(pixels, grid, padding_mode="border", align_corners=False).movedim(1, -1)
