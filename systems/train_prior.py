"""Stages 2 and 3 of the mini prior: a 2D denoiser, then the multi-view one fine-tuned from it (MVDream, section 3)."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from diffusers import AutoencoderKL, DDIMScheduler
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import mse_loss
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import CLIPTextModel

from data.ranges import Fraction, NonNegativeInt, PositiveFloat, PositiveInt
from data.toy_views import ToyViews
from data.toybox.captions import draw_caption
from guidance.autoencoder import Autoencoder
from guidance.camera_unet import CameraUNet
from guidance.diffusion import alpha_sigma
from guidance.multiview import set_view_count
from guidance.tokenizer import WordTokenizer
from systems.latent_cache import LatentBatch, LatentCache, cached
from systems.learning_rate import warm_cosine
from systems.mini_networks import save_half
from systems.rng import step_generator


class Denoiser(torch.nn.Module):
    """What is trained, and what the weights are averaged of."""

    def __init__(self, unet: CameraUNet, text_encoder: CLIPTextModel) -> None:
        super().__init__()
        self.unet, self.text_encoder = unet, text_encoder

    def forward(
        self, noisy: Float[Tensor, "b c y x"], t: Tensor, ids: Tensor, camera: Float[Tensor, "b 16"] | None
    ) -> Float[Tensor, "b c y x"]:
        """The network's own prediction, v."""
        text = self.text_encoder(ids).last_hidden_state
        return self.unet(noisy, t, text, class_labels=camera).sample


@dataclass
class Mixture:
    """What a step trains on: multi-view groups, or (with probability `picture_share`) single pictures in 2D mode."""

    n_view: int = 4
    picture_share: float = 0.3
    frontal: float = 0.8

    def draw(self, cache: LatentCache, n_images: int, rng: torch.Generator) -> tuple[LatentBatch, int]:
        """The batch and the number of its views that attend to each other."""
        if torch.rand((), generator=rng) < self.picture_share:
            return cache.draw_pictures(n_images, self.frontal, rng), 1
        return cache.draw_objects(n_images // self.n_view, rng), self.n_view


class TrainPrior(pl.LightningModule):
    """Denoising with v-prediction, |v_hat(x_t, t, c) - v|^2 with v = alpha eps - sigma x_0, one t per group of views.

    Captions are drawn anew each time; a tenth of them is dropped for classifier-free guidance.
    """

    def __init__(
        self,
        unet: CameraUNet,
        text_encoder: CLIPTextModel,
        tokenizer: WordTokenizer,
        scheduler: DDIMScheduler,
        autoencoder: AutoencoderKL,
        views: ToyViews,
        mixture: Mixture,
        out: str,
        cache_path: str,
        n_objects: PositiveInt = 6000,
        batch_size: PositiveInt = 32,
        learning_rate: PositiveFloat = 9e-4,
        warmup_steps: PositiveInt = 200,
        max_steps: PositiveInt = 6500,
        ema_decay: Fraction = 0.998,
        caption_dropout: Fraction = 0.1,
        seed: NonNegativeInt = 0,
    ) -> None:
        super().__init__()
        self.denoiser = Denoiser(unet, text_encoder)
        self.average = AveragedModel(self.denoiser, multi_avg_fn=get_ema_multi_avg_fn(ema_decay))
        self.average.requires_grad_(False)
        self.tokenizer, self.scheduler, self.views, self.mixture = tokenizer, scheduler, views, mixture
        self.autoencoder = [autoencoder.eval().requires_grad_(False)]  # in a list: frozen, so not in the checkpoint
        self.out, self.cache_path, self.n_objects = Path(out), Path(cache_path), n_objects
        self.batch_size, self.learning_rate = batch_size, learning_rate
        self.warmup_steps, self.max_steps = warmup_steps, max_steps
        self.caption_dropout, self.seed = caption_dropout, seed

    @property
    def n_view(self) -> int:
        """Of the prior that comes out: 1 if only pictures are trained on."""
        return 1 if self.mixture.picture_share >= 1 else self.mixture.n_view

    def on_fit_start(self) -> None:
        self.cache = cached(self.cache_path, self.views, Autoencoder(self.autoencoder[0]), self.n_objects, self.seed)

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        rng = step_generator(self.seed, self.global_step)
        seen, n_view = self.mixture.draw(self.cache, self.batch_size, rng)
        set_view_count(self.denoiser.unet, n_view)
        t = torch.randint(len(self.scheduler.alphas_cumprod), (self.batch_size // n_view,), generator=rng)
        t = t.repeat_interleave(n_view)
        alpha, sigma = (level.to(self.device) for level in alpha_sigma(self.scheduler.alphas_cumprod, t))
        noise = torch.randn(seen.latents.shape, generator=rng).to(self.device)
        latents, camera = seen.latents.to(self.device), seen.camera.to(self.device) if n_view > 1 else None
        ids = self.tokenizer(self._captions(seen, n_view, rng)).to(self.device)
        v = self.denoiser(alpha * latents + sigma * noise, t.to(self.device), ids, camera)
        loss = mse_loss(v.float(), alpha * noise - sigma * latents)
        self.log("loss/multi_view" if n_view > 1 else "loss/picture", loss, prog_bar=True)
        return loss

    def _captions(self, batch: LatentBatch, n_view: int, rng: torch.Generator) -> list[str]:
        """One caption per group of views."""
        captions = []
        for toy in batch.toys[::n_view]:
            dropped = torch.rand((), generator=rng) < self.caption_dropout
            captions += ["" if dropped else draw_caption(toy, rng)] * n_view
        return captions

    def optimizer_step(self, *args: Any, **options: Any) -> None:
        """Averages here, not in a hook of its own: callbacks, which write checkpoints, run before those."""
        super().optimizer_step(*args, **options)
        self.average.update_parameters(self.denoiser)

    def configure_optimizers(self):
        parameters = self.denoiser.parameters()
        optimizer = torch.optim.AdamW(parameters, lr=self.learning_rate, betas=(0.9, 0.98), weight_decay=1e-2)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, warm_cosine(self.warmup_steps, self.max_steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_fit_end(self) -> None:
        """Also of a fit that had nothing left to do, because the last one was killed before it wrote the folder."""
        self.save()

    def save(self) -> None:
        """Writes the averaged weights as a prior's folder, float16."""
        average = copy.deepcopy(self.average.module)
        assert isinstance(average, Denoiser)
        save_half(average.unet, self.out / "unet")
        save_half(average.text_encoder, self.out / "text_encoder")
        save_half(copy.deepcopy(self.autoencoder[0]), self.out / "vae")
        self.scheduler.save_pretrained(self.out / "scheduler")
        self.tokenizer.save(self.out / "tokenizer")
