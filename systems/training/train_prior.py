"""Stages 2 and 3 of the mini prior: a 2D denoiser, then the multi-view one fine-tuned from it (MVDream, section 3)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from diffusers import AutoencoderKL, DDIMScheduler
from jaxtyping import Float, Int
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torch.utils.data import DataLoader
from transformers import CLIPTextModel

from data.directions import DIRECTIONS, direction
from data.errors import UserError
from data.ranges import Fraction, NonNegativeInt, PositiveFloat, PositiveInt
from data.toybox.captions import VIEW
from data.views import Views
from data.whole_file import whole_folder
from guidance.autoencoder import Autoencoder
from guidance.camera_unet import CameraUNet
from guidance.diffusion import draw_noise
from guidance.tokenizer import Tokenizer, append
from guidance.weights.prior_weights import NoiseSchedule
from systems.dataloader import steps_loader
from systems.learning_rate import warmed_up
from systems.rng import step_generator
from systems.training.denoiser import Denoiser, Noised, averaged, denoising_loss, freeze
from systems.training.mini_networks import save_half
from systems.training.shared_batch import SharedBatch
from systems.training_data.latent_cache import ALL, LatentBatch, Latents, cached
from systems.training_data.picture_latents import PictureSource, WithPictures


@dataclass
class Mixture:
    """What a step trains on: multi-view groups, or (with probability `picture_share`) single pictures in 2D mode.

    said: the share of the pictures whose captions say from which side they look, ", back view": from anywhere.
    frontal: the share of the others that show the front.
    n_multi_view: so many objects alone are ever seen from all around; None: all. Pictures are of all.
    """

    n_view: PositiveInt = 4
    picture_share: Fraction = 0.3
    frontal: Fraction = 0.8
    said: Fraction = 0.0
    n_multi_view: PositiveInt | None = None

    def choose(self, rng: torch.Generator) -> int:
        """How many views attend to each other in a step."""
        return 1 if torch.rand((), generator=rng) < self.picture_share else self.n_view

    def draw(
        self,
        data: Latents,
        n_images: int,
        n_view: int,
        side_words: Int[Tensor, "d k"],
        end: int,
        rng: torch.Generator,
        wanted: slice = ALL,
    ) -> LatentBatch:
        """side_words: the tokens that a caption may end in, for each of data.directions.DIRECTIONS; end: the token
        that comes after them."""
        if n_view > 1:
            return data.draw_objects(n_images // n_view, rng, self.n_multi_view, wanted)
        draw = lambda: torch.rand(n_images, generator=rng, device=rng.device)
        said = draw() < self.said
        seen = data.draw_pictures((draw() < self.frontal) & ~said, rng, wanted)
        side = direction(seen.azimuth, torch.zeros_like(seen.azimuth))
        return replace(seen, ids=torch.where(said[:, None], append(seen.ids, side_words[side], end), seen.ids))


class TrainPrior(pl.LightningModule):
    """Denoising with v-prediction, |v_hat(x_t, t, c) - v|^2 with v = alpha eps - sigma x_0, one t per group of views.

    A tenth of the captions is dropped for classifier-free guidance.
    All that is random in a step depends on (seed, step) alone, so that it does not matter how many processes
    (trainer.devices) and pieces (trainer.accumulate_grad_batches) share its batch.

    batch_size: images that an optimiser step is about. ema_decay: of the average of the weights, which is what is
    saved; null: the weights themselves. frozen: beginnings of the names of what is not trained, "text_encoder".
    checkpointing: the UNet computes its activations again for the gradient, and does not keep them.
    source: what opens the training data, once the device is known; pictures: what the 2D steps draw from; null: single
    views of the objects.
    workers: processes that render the toys before the first step, or read those of a step.
    compile: by torch.compile; a minute before the first steps, then 1.7 times the speed on a GPU.
    """

    alphas_cumprod: Float[Tensor, "t"]

    def __init__(
        self,
        unet: CameraUNet,
        text_encoder: CLIPTextModel,
        tokenizer: Tokenizer,
        scheduler: DDIMScheduler,
        autoencoder: AutoencoderKL,
        views: Views,
        mixture: Mixture,
        out: str,
        cache_path: str,
        n_objects: PositiveInt = 6000,
        batch_size: PositiveInt = 32,
        learning_rate: PositiveFloat = 9e-4,
        betas: tuple[Fraction, Fraction] = (0.9, 0.98),
        warmup_steps: PositiveInt = 200,
        max_steps: PositiveInt = 6500,
        ema_decay: Fraction | None = 0.998,
        caption_dropout: Fraction = 0.1,
        frozen: Sequence[str] = (),
        checkpointing: bool = False,
        source: Callable[..., Latents] = cached,
        pictures: PictureSource | None = None,
        workers: NonNegativeInt = 0,
        compile: bool = False,
        seed: NonNegativeInt = 0,
    ) -> None:
        super().__init__()
        self.denoiser = Denoiser(unet, text_encoder)
        freeze(self.denoiser, frozen)
        self.average = self.denoiser if ema_decay is None else averaged(self.denoiser)
        self.blend = None if ema_decay is None else get_ema_multi_avg_fn(ema_decay)
        self.tokenizer, self.scheduler, self.views, self.mixture = tokenizer, scheduler, views, mixture
        self.autoencoder = [autoencoder.eval().requires_grad_(False)]  # in a list: frozen, so not in the checkpoint
        self.out, self.cache_path, self.n_objects = Path(out), Path(cache_path), n_objects
        if pictures is not None and mixture.said > 0:
            raise UserError(f"system.mixture.said={mixture.said}: nobody knows what side a picture shows; say 0.0")
        _check_same_views(self.n_view, views.n_view)
        self.source, self.pictures = source, pictures
        self.batch_size, self.learning_rate, self.betas = batch_size, learning_rate, betas
        self.warmup_steps, self.max_steps = warmup_steps, max_steps
        self.caption_dropout, self.workers, self.seed = caption_dropout, workers, seed
        if checkpointing:
            self.denoiser.unet.enable_gradient_checkpointing()
        if compile:
            self.denoiser.unet.compile()
        self.register_buffer("alphas_cumprod", scheduler.alphas_cumprod, persistent=False)

    @property
    def schedule(self) -> NoiseSchedule:
        return NoiseSchedule(self.alphas_cumprod, self.scheduler.config.prediction_type)

    @property
    def n_view(self) -> int:
        """Of the prior that comes out: 1 if only pictures are trained on."""
        return 1 if self.mixture.picture_share >= 1 else self.mixture.n_view

    def on_fit_start(self) -> None:
        self.shared = SharedBatch(self.trainer, self.batch_size, self.n_view)
        if self.trainer.is_global_zero:
            self.cache = self._open_data()
        self.trainer.strategy.barrier()
        if not self.trainer.is_global_zero:
            self.cache = self._open_data()
        self.no_words = self.tokenizer([""]).to(self.device)
        tails = [self.tokenizer.tokens(f", {name} {VIEW}") for name in DIRECTIONS]
        self.side_words = torch.tensor(tails, device=self.device)

    def _open_data(self) -> Latents:
        autoencoder = Autoencoder(self.autoencoder[0].to(self.device))
        objects = self.source(
            self.cache_path, self.views, autoencoder, self.tokenizer, self.n_objects, self.seed, self.workers
        )
        if self.pictures is None:
            return objects
        return WithPictures(objects, self.pictures(autoencoder, self.tokenizer, self.workers))

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        drawn = self.draw(self.global_step, self.shared.place(batch_idx))
        share = drawn.share(self.shared.number(batch_idx), self.shared.count)
        loss = denoising_loss(self.denoiser, share, self.schedule)
        kind = "loss/multi_view" if drawn.n_view > 1 else "loss/picture"
        self.log_dict(self.shared.mean({"loss": loss, kind: loss}, batch_idx), sync_dist=True)
        self.unused = [] if drawn.camera is not None else list(self.denoiser.camera_parameters())
        return loss + 0 * sum(parameter.sum() for parameter in self.unused)  # processes exchange the gradients of all

    def draw(self, step: int, wanted: slice = ALL) -> Noised:
        """The whole batch of a step. wanted: see systems.training_data.latent_cache.Latents."""
        n_view = self.mixture.choose(step_generator(self.seed, -1 - step))  # not the stream of the draws
        rng = step_generator(self.seed, step, self.device)
        words = self.side_words, self.tokenizer.end
        seen = self.mixture.draw(self.cache, self.batch_size, n_view, *words, rng, wanted)
        groups = self.batch_size // n_view
        t = torch.randint(len(self.alphas_cumprod), (groups,), generator=rng, device=rng.device)
        dropped = torch.rand(groups, 1, generator=rng, device=rng.device) < self.caption_dropout
        ids = torch.where(dropped.repeat_interleave(n_view, dim=0), self.no_words, seen.ids)
        noise, camera = draw_noise(seen.latents, rng), seen.camera if n_view > 1 else None
        return Noised(seen.latents, noise, t.repeat_interleave(n_view), ids, camera, n_view)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """What a step has not used stays as it is, moments and decay included."""
        for parameter in self.unused:
            parameter.grad = None

    def optimizer_step(self, *args: Any, **options: Any) -> None:
        """Averages here, not in a hook of its own: callbacks, which write checkpoints, run before those."""
        super().optimizer_step(*args, **options)
        if self.blend is not None:
            pairs = zip(self.average.parameters(), self.denoiser.parameters(), strict=True)
            ours, theirs = zip(*((mean, now) for mean, now in pairs if now.requires_grad), strict=True)
            self.blend(list(ours), list(theirs), 0)

    def configure_optimizers(self):
        parameters = [parameter for parameter in self.denoiser.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(parameters, lr=self.learning_rate, betas=self.betas, weight_decay=1e-2)
        return warmed_up(optimizer, self.warmup_steps, self.max_steps)

    def train_dataloader(self) -> DataLoader:
        return steps_loader(self.max_steps * self.trainer.accumulate_grad_batches)

    def on_fit_end(self) -> None:
        """Also of a fit that had nothing left to do, because the last one was killed before it wrote the folder."""
        if self.trainer.is_global_zero:
            self.save()

    def save(self) -> None:
        """Writes the averaged weights as a prior's folder, float16."""
        average = copy.deepcopy(self.average)
        with whole_folder(self.out) as draft:
            save_half(average.unet, draft / "unet")
            save_half(average.text_encoder, draft / "text_encoder")
            save_half(copy.deepcopy(self.autoencoder[0]), draft / "vae")
            self.scheduler.save_pretrained(draft / "scheduler")
            self.tokenizer.save(draft / "tokenizer")


def _check_same_views(trained: int, shown: int) -> None:
    if trained not in (1, shown):
        raise UserError(
            f"system.mixture.n_view={trained}: system.views shows {shown} of an object; say the same of both"
        )
