"""Where multi-view SDS compares what is seen with what the prior wants to see: between latents, or between pictures."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

from guidance.prior import Prior


@runtime_checkable
class Reconstruction(Protocol):
    needs_encoder_gradient: bool

    def __call__(
        self,
        prior: Prior,
        images: Float[Tensor, "b h w 3"],
        latents: Float[Tensor, "b c y x"],
        x0: Float[Tensor, "b c y x"],
    ) -> Float[Tensor, ""]: ...


class InLatents:
    """0.5 ||z - sg(x0)||^2 / b: the gradient reaches the images through the encoder (MVDream)."""

    needs_encoder_gradient = True

    def __call__(
        self,
        prior: Prior,
        images: Float[Tensor, "b h w 3"],
        latents: Float[Tensor, "b c y x"],
        x0: Float[Tensor, "b c y x"],
    ) -> Float[Tensor, ""]:
        return 0.5 * (latents - x0).square().sum() / len(latents)


class InPixels:
    """0.5 ||x - sg(decode(x0))||^2 / b: no gradient through the encoder, so less noise and less work.

    Images of another size are compared with the decoded ones averaged down, and weighted as if they had all pixels.
    """

    needs_encoder_gradient = False

    def __call__(
        self,
        prior: Prior,
        images: Float[Tensor, "b h w 3"],
        latents: Float[Tensor, "b c y x"],
        x0: Float[Tensor, "b c y x"],
    ) -> Float[Tensor, ""]:
        with torch.no_grad():
            wanted = prior.decode(x0).movedim(-1, 1)
            wanted = interpolate(wanted, images.shape[1:3], mode="area").movedim(1, -1)
        share = prior.image_size**2 / (images.shape[1] * images.shape[2])
        return 0.5 * share * (images - wanted).square().sum() / len(images)
