"""What training a diffusion model is: networks, noised latents, and how far the networks are from their target."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import mse_loss
from transformers import CLIPTextModel

from data.errors import UserError
from guidance.camera_unet import CameraUNet
from guidance.diffusion import alpha_sigma, training_target
from guidance.multiview import set_view_count
from guidance.weights.prior_weights import NoiseSchedule


class Denoiser(torch.nn.Module):
    """What is trained, and what the weights are averaged of."""

    def __init__(self, unet: CameraUNet, text_encoder: CLIPTextModel) -> None:
        super().__init__()
        self.unet, self.text_encoder = unet, text_encoder

    def forward(
        self, noisy: Float[Tensor, "b c y x"], t: Int[Tensor, "b"], ids: Int[Tensor, "b l"], camera: Tensor | None
    ) -> Float[Tensor, "b c y x"]:
        """The network's own prediction: v, or the noise."""
        text = self.text_encoder(ids).last_hidden_state
        return self.unet(noisy, t, text, class_labels=camera).sample

    def camera_parameters(self) -> Iterator[torch.nn.Parameter]:
        """Those that the 2D mode does not come to."""
        embedding = self.unet.class_embedding
        return iter(()) if embedding is None else embedding.parameters()


def freeze(denoiser: Denoiser, beginnings: Sequence[str]) -> None:
    """Parameters whose names begin so are not trained; UserError if there is none, or if nothing is left."""
    names = [name for name, _ in denoiser.named_parameters()]
    for beginning in beginnings:
        if not any(name.startswith(beginning) for name in names):
            raise UserError(f"system.frozen={beginning}: no parameter's name begins so; say unet or text_encoder")
    for name, parameter in denoiser.named_parameters():
        parameter.requires_grad_(not name.startswith(tuple(beginnings)))
    if not any(parameter.requires_grad for parameter in denoiser.parameters()):
        raise UserError(f"system.frozen={', '.join(beginnings)}: nothing is left to train; freeze less")


def averaged(denoiser: Denoiser) -> Denoiser:
    """A copy of what is trained, to average its weights in; what is frozen, it shares."""
    shared: dict[int, object] = {id(one): one for one in denoiser.parameters() if not one.requires_grad}
    return copy.deepcopy(denoiser, shared).requires_grad_(False)


@dataclass(frozen=True)
class Noised:
    """b latents in groups of `n_view`, view fastest, and all that is drawn to noise them."""

    latents: Float[Tensor, "b c y x"]
    noise: Float[Tensor, "b c y x"]
    t: Int[Tensor, "b"]
    ids: Int[Tensor, "b l"]  # the caption's tokens
    camera: Float[Tensor, "b 16"] | None  # None: 2D mode
    n_view: int = 1

    def share(self, index: int, count: int) -> Noised:
        """The index-th of `count` equal parts; a group of views stays together."""
        each = len(self.latents) // count
        part = slice(index * each, (index + 1) * each)
        camera = None if self.camera is None else self.camera[part]
        return Noised(self.latents[part], self.noise[part], self.t[part], self.ids[part], camera, self.n_view)


def denoising_loss(denoiser: Denoiser, batch: Noised, schedule: NoiseSchedule) -> Float[Tensor, ""]:
    """|f(x_t, t, c) - target|^2, mean over all numbers."""
    alpha, sigma = alpha_sigma(schedule.alphas_cumprod, batch.t)
    target = training_target(schedule.prediction_type, batch.latents, batch.noise, alpha, sigma)
    set_view_count(denoiser.unet, batch.n_view)
    found = denoiser(alpha * batch.latents + sigma * batch.noise, batch.t, batch.ids, batch.camera)
    return mse_loss(found.float(), target)
