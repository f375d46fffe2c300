"""While a prior trains: its loss on objects that it has never seen, and on as many that it has."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from data.ranges import PositiveInt
from data.views import Views
from guidance.autoencoder import Autoencoder
from guidance.diffusion import draw_noise
from systems.dataloader import ends_step
from systems.rng import step_generator
from systems.training.denoiser import Noised, denoising_loss
from systems.training.train_prior import TrainPrior
from systems.training_data.latent_cache import LatentBatch, LatentCache, build_cache

SEED = 0  # of whatever run: their curves compare


@dataclass(frozen=True)
class Fixed:
    """Objects from all around, and the noise that they get each time."""

    seen: LatentBatch
    noise: Float[Tensor, "b c y x"]


class HeldOutLoss(Callback):
    """Of the averaged weights, multi-view, with the same objects, noise and noise levels each time, so that the figures
    are those of one curve: `held_out/loss`, and `seen/loss` of the first objects of the training data.

    views: draws the objects that are held out. every: steps; also after the first and the last.
    n_levels: of noise, in the middles of as many equal parts of the process; each object is seen at every one.
    """

    def __init__(
        self, views: Views, every: PositiveInt = 250, n_objects: PositiveInt = 32, n_levels: PositiveInt = 10
    ) -> None:
        self.views, self.every, self.n_objects, self.n_levels = views, every, n_objects, n_levels

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, TrainPrior)
        if not trainer.is_global_zero:
            return
        autoencoder = Autoencoder(pl_module.autoencoder[0])
        strangers = build_cache(self.views, autoencoder, pl_module.tokenizer, self.n_objects, SEED)
        rng = step_generator(SEED, 0, pl_module.device)
        seen = pl_module.cache.draw_objects(self.n_objects, rng, pl_module.mixture.n_multi_view)
        batches = {"held_out/loss": _all_views(strangers.to(pl_module.device)), "seen/loss": seen}
        self.fixed = {name: Fixed(batch, draw_noise(batch.latents, rng)) for name, batch in batches.items()}

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        step = trainer.global_step
        if not trainer.is_global_zero or not ends_step(trainer, batch_idx):
            return
        if step % self.every and step not in (1, trainer.max_steps):
            return
        assert isinstance(pl_module, TrainPrior)
        with torch.no_grad(), trainer.precision_plugin.forward_context():
            for name, fixed in self.fixed.items():
                pl_module.log(name, self._loss(pl_module, fixed), rank_zero_only=True)

    def _loss(self, system: TrainPrior, fixed: Fixed) -> Tensor:
        n_steps, n_view = len(system.alphas_cumprod), self.views.n_view
        seen, losses = fixed.seen, []
        for level in ((2 * i + 1) * n_steps // (2 * self.n_levels) for i in range(self.n_levels)):
            t = torch.full((len(fixed.noise),), level, device=fixed.noise.device)
            whole = Noised(seen.latents, fixed.noise, t, seen.ids, seen.camera, n_view)
            losses.append(denoising_loss(system.average, whole, system.schedule))
        return torch.stack(losses).mean()


def _all_views(cache: LatentCache) -> LatentBatch:
    """View fastest; of each object the first caption."""
    ids = cache.ids[:, 0].long().repeat_interleave(cache.latents.shape[1], dim=0)
    return LatentBatch(cache.latents.flatten(0, 1).float(), cache.camera.flatten(0, 1), cache.azimuth.flatten(), ids)
