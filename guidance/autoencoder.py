"""Between images and the latents that a diffusion model works on."""

from __future__ import annotations

import torch
from diffusers import AutoencoderKL
from jaxtyping import Float
from torch import Tensor

from guidance.diffusion import draw_noise


class Autoencoder:
    """diffusers' AutoencoderKL between images in [0, 1] and latents of about unit variance, both float32 outside.

    Latents are standardised, (z - mean) / std: per channel where the VAE's config gives `latents_mean` and
    `latents_std`, else with Stable Diffusion's scalars, mean = `shift_factor` and std = 1 / `scaling_factor`.
    """

    def __init__(self, vae: AutoencoderKL) -> None:
        config = vae.config
        channels = config.latent_channels
        mean = config.latents_mean or [config.shift_factor or 0.0] * channels
        std = config.latents_std or [1 / config.scaling_factor] * channels
        self.vae = vae
        self.mean = torch.tensor(mean, device=vae.device)[:, None, None]
        self.std = torch.tensor(std, device=vae.device)[:, None, None]
        self.downsampling = 2 ** (len(config.block_out_channels) - 1)

    def encode(self, images: Float[Tensor, "b h w 3"], rng: torch.Generator | None = None) -> Float[Tensor, "b c y x"]:
        pixels = images.movedim(-1, 1) * 2 - 1
        posterior = self.vae.encode(pixels.to(self.vae.dtype)).latent_dist
        latents = posterior.mean.float()
        if rng is not None:
            latents = latents + posterior.std.float() * draw_noise(latents, rng)
        return (latents - self.mean) / self.std

    def decode(self, latents: Float[Tensor, "b c y x"]) -> Float[Tensor, "b h w 3"]:
        pixels = self.vae.decode((latents * self.std + self.mean).to(self.vae.dtype)).sample
        return (pixels.float() / 2 + 0.5).clamp(0, 1).movedim(1, -1)
