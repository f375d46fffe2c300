"""Stage 1 of the mini prior: a small AutoencoderKL from 64 x 64 pictures to the latents that the UNet learns."""

from __future__ import annotations

import copy
from functools import partial
from pathlib import Path

import pytorch_lightning as pl
import torch
from diffusers import AutoencoderKL
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d, l1_loss
from torch.utils.data import DataLoader

from data.ranges import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from data.views import Views
from data.whole_file import whole_folder
from guidance.diffusion import draw_noise
from metrics.ground_truth import psnr
from systems.dataloader import steps_loader
from systems.learning_rate import warmed_up
from systems.rng import step_generator
from systems.training.mini_networks import save_half
from systems.training_data.ahead import draw_pictures, drawn_ahead


class TrainAutoencoder(pl.LightningModule):
    """L1 + MSE + L1 of the image gradients, weighted by 1 + `detail_weight` * local contrast, so that eyes count.

    Noise on the latents keeps neighbouring latents alike (it replaces the KL sampling).
    workers: processes that render the pictures of the next steps.
    """

    def __init__(
        self,
        autoencoder: AutoencoderKL,
        views: Views,
        out: str,
        batch_size: PositiveInt = 16,
        learning_rate: PositiveFloat = 1.5e-3,
        max_steps: PositiveInt = 2400,
        warmup_steps: PositiveInt = 100,
        latent_noise: NonNegativeFloat = 0.05,
        latent_decay: NonNegativeFloat = 1e-4,
        gradient_weight: NonNegativeFloat = 1.0,
        detail_weight: NonNegativeFloat = 0.0,
        workers: NonNegativeInt = 0,
        seed: NonNegativeInt = 0,
    ) -> None:
        super().__init__()
        self.autoencoder, self.views, self.out = autoencoder, views, Path(out)
        self.batch_size, self.learning_rate = batch_size, learning_rate
        self.max_steps, self.warmup_steps = max_steps, warmup_steps
        self.latent_noise, self.latent_decay = latent_noise, latent_decay
        self.gradient_weight, self.detail_weight = gradient_weight, detail_weight
        self.workers, self.seed = workers, seed

    def on_train_start(self) -> None:
        draw = partial(draw_pictures, self.views, self.batch_size, self.seed)
        self.pictures = drawn_ahead(draw, range(self.global_step, self.max_steps), self.workers)

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        images = self._to_pixels(next(self.pictures))
        latents = self.autoencoder.encode(images).latent_dist.mean
        noise = draw_noise(latents, step_generator(self.seed, self.global_step, self.device))
        noise = noise * self.latent_noise * latents.detach().float().std()
        decoded = self.autoencoder.decode(latents + noise).sample.float()
        weight = 1 + self.detail_weight * local_contrast(images)
        error = (decoded - images) * weight.sqrt()
        pixel = (error.abs() + error.square()).mean()
        edge = edge_loss(decoded * weight, images * weight)
        self.log_dict(
            {"loss/pixel": pixel, "loss/edge": edge, "psnr": psnr(to_image(decoded), to_image(images))}, prog_bar=True
        )
        return pixel + self.gradient_weight * edge + self.latent_decay * latents.float().square().mean()

    def _to_pixels(self, images: Float[Tensor, "b h w 3"]) -> Float[Tensor, "b 3 h w"]:
        """From [0, 1] to [-1, 1]."""
        return images.to(self.device).movedim(-1, 1) * 2 - 1

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.learning_rate, betas=(0.9, 0.98), weight_decay=1e-3)
        return warmed_up(optimizer, self.warmup_steps, self.max_steps)

    def train_dataloader(self) -> DataLoader:
        return steps_loader(self.max_steps)

    def on_fit_end(self) -> None:
        self.save()

    def save(self) -> None:
        """Writes `vae/`, with the per-channel mean and deviation of the latents in its config."""
        with torch.no_grad():
            images = self._to_pixels(draw_pictures(self.views, 256, self.seed, -1))
            latents = self.autoencoder.encode(images).latent_dist.mean
        self.autoencoder.register_to_config(
            latents_mean=latents.mean(dim=(0, 2, 3)).tolist(), latents_std=latents.std(dim=(0, 2, 3)).tolist()
        )
        with whole_folder(self.out / "vae") as draft:
            save_half(copy.deepcopy(self.autoencoder), draft)


def edge_loss(a: Float[Tensor, "b c h w"], b: Float[Tensor, "b c h w"]) -> Float[Tensor, ""]:
    """L1 between the horizontal and vertical differences: keeps eyes and edges sharp."""
    return sum((l1_loss(a.diff(dim=d), b.diff(dim=d)) for d in (2, 3)), start=a.new_zeros(()))


def local_contrast(images: Float[Tensor, "b c h w"], size: int = 5) -> Float[Tensor, "b 1 h w"]:
    """Standard deviation of the grey value in a window of `size` pixels; values in [-1, 1] give 0 to 1."""
    grey = images.mean(dim=1, keepdim=True)
    mean = avg_pool2d(grey, size, stride=1, padding=size // 2, count_include_pad=False)
    square = avg_pool2d(grey.square(), size, stride=1, padding=size // 2, count_include_pad=False)
    return (square - mean.square()).clamp_min(0).sqrt()


def to_image(pixels: Float[Tensor, "b c h w"]) -> Float[Tensor, "b h w c"]:
    """From [-1, 1] to [0, 1]."""
    return (pixels.detach().clamp(-1, 1) / 2 + 0.5).movedim(1, -1)
