"""While a prior trains: what it samples for held-out captions, beside the true toys."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pytorch_lightning import Callback, LightningModule, Trainer

from data.ranges import PositiveInt
from data.toy_views import ToyViews
from data.toybox.split import held_out
from guidance.diffusion_prior import DiffusionPrior
from guidance.sampling import DDIM, Sampler
from systems.dataloader import ends_step
from systems.evaluation.evaluate_prior import EvaluatePrior, mean_scores
from systems.reports.pictures import to_bytes, write_row
from systems.reports.wandb_log import send_picture
from systems.training.train_prior import TrainPrior


class SampleGrid(Callback):
    """Every so many steps saves the averaged weights, reads them back as a prior, and writes images/<step>.png. Of
    what trains on toys alone: nothing else has a truth to stand beside."""

    def __init__(self, every: PositiveInt = 500, n_captions: PositiveInt = 4, sampler: Sampler | None = None) -> None:
        self.every, self.n_captions = every, n_captions
        self.sampler = sampler or DDIM(steps=20, scale=4.0)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, TrainPrior)
        if trainer.global_step % self.every or not isinstance(pl_module.views, ToyViews):
            return
        if not trainer.is_global_zero or not ends_step(trainer, batch_idx):
            return
        pl_module.save()
        prior = DiffusionPrior(str(pl_module.out), n_view=pl_module.n_view)
        captions = held_out(pl_module.views.kinds)[: self.n_captions]
        with tempfile.TemporaryDirectory() as cache_dir:  # the text encoder has changed since, and will
            grid, scores = EvaluatePrior(prior, self.sampler, captions, cache_dir=cache_dir).sample()
        picture = Path(trainer.default_root_dir) / "images" / f"{trainer.global_step:06d}.png"
        write_row(picture, [to_bytes(grid)])
        send_picture(trainer.loggers, "samples", picture, trainer.global_step - 1)
        measured = {f"held_out/{name}": value for name, value in mean_scores(scores).items()}
        pl_module.log_dict(measured, rank_zero_only=True)
