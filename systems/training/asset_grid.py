"""While a prior trains on rendered 3D files: what it samples for their captions, beside them."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pytorch_lightning import Callback, LightningModule, Trainer

from data.ranges import PositiveInt
from guidance.diffusion_prior import DiffusionPrior
from guidance.sampling import DDIM, Sampler
from guidance.tokenizer import WordTokenizer
from systems.dataloader import ends_step
from systems.evaluation.compare_assets import CompareAssets, choose_objects, mean_scores, open_splits, sheet
from systems.reports.pictures import write_row
from systems.reports.wandb_log import send_picture
from systems.training.train_prior import TrainPrior


class AssetGrid(Callback):
    """Every so many steps, and after the last, saves the averaged weights, reads them back as a prior, and writes
    images/<step>.png. Of the splits of the shards those that there are. What listens to its scores stands after it."""

    def __init__(
        self, shards: str, every: PositiveInt = 500, n_objects: PositiveInt = 6, sampler: Sampler | None = None
    ) -> None:
        self.shards, self.every, self.n_objects = shards, every, n_objects
        self.sampler = sampler or DDIM(steps=20, scale=4.0)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """What would be wrong after `every` steps is wrong before the first."""
        assert isinstance(pl_module, TrainPrior)
        if trainer.is_global_zero:
            words = pl_module.tokenizer
            known = (words.known or words.words) if isinstance(words, WordTokenizer) else None
            choose_objects(open_splits(self.shards), self.n_objects, known)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        step = trainer.global_step
        if not trainer.is_global_zero or not ends_step(trainer, batch_idx):
            return
        if step % self.every and step != trainer.max_steps:
            return
        assert isinstance(pl_module, TrainPrior)
        pl_module.save()
        prior = DiffusionPrior(str(pl_module.out), n_view=pl_module.n_view)
        with tempfile.TemporaryDirectory() as cache_dir:  # the text encoder has changed since, and will
            job = CompareAssets(prior, self.sampler, self.shards, n_objects=self.n_objects, cache_dir=cache_dir)
            compared = job.compare()
        picture = Path(trainer.default_root_dir) / "images" / f"{step:06d}.png"
        write_row(picture, [sheet(compared)])
        send_picture(trainer.loggers, "samples", picture, step - 1)
        scores = {f"{split}/{name}": x for split, own in mean_scores(compared).items() for name, x in own.items()}
        pl_module.log_dict(scores, rank_zero_only=True)
