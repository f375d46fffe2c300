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

    chunk: images that pass through at once; None: all.
    checkpointing: for a gradient, keep only what passes between blocks, and compute what is inside them again.
    """

    def __init__(self, vae: AutoencoderKL, chunk: int | None = None, checkpointing: bool = False) -> None:
        config = vae.config
        channels = config.latent_channels
        mean = config.latents_mean or [config.shift_factor or 0.0] * channels
        std = config.latents_std or [1 / config.scaling_factor] * channels
        self.vae, self.chunk = vae, chunk
        self.mean = torch.tensor(mean, device=vae.device)[:, None, None]
        self.std = torch.tensor(std, device=vae.device)[:, None, None]
        self.downsampling = 2 ** (len(config.block_out_channels) - 1)
        if checkpointing:
            vae.enable_gradient_checkpointing()

    def to(self, device: torch.device) -> None:
        """Where latents are standardised, if that is not where the VAE's weights are."""
        self.mean, self.std = self.mean.to(device), self.std.to(device)

    def encode(self, images: Float[Tensor, "b h w 3"], rng: torch.Generator | None = None) -> Float[Tensor, "b c y x"]:
        pixels = (images.movedim(-1, 1) * 2 - 1).to(self.vae.dtype)
        posteriors = [self.vae.encode(piece).latent_dist for piece in self._pieces(pixels)]
        latents = torch.cat([posterior.mean for posterior in posteriors]).float()
        if rng is not None:
            std = torch.cat([posterior.std for posterior in posteriors]).float()
            latents = latents + std * draw_noise(latents, rng)
        return (latents - self.mean) / self.std

    def decode(self, latents: Float[Tensor, "b c y x"]) -> Float[Tensor, "b h w 3"]:
        z = (latents * self.std + self.mean).to(self.vae.dtype)
        pixels = torch.cat([self.vae.decode(piece).sample for piece in self._pieces(z)])
        return (pixels.float() / 2 + 0.5).clamp(0, 1).movedim(1, -1)

    def _pieces(self, batch: Float[Tensor, "b c y x"]) -> tuple[Float[Tensor, "_ c y x"], ...]:
        return batch.split(self.chunk or len(batch))
