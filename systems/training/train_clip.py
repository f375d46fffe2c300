"""mini-CLIP: pictures of toys and their captions, view words among them, into one space."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import normalize, softplus
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torch.utils.data import DataLoader
from transformers import CLIPModel, PreTrainedTokenizerFast

from data.ranges import Fraction, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from data.toy_views import ToyViews
from data.whole_file import whole_folder
from metrics.preprocessing import Preprocessing
from systems.dataloader import steps_loader
from systems.learning_rate import warmed_up
from systems.rng import step_generator
from systems.training.mini_clip import save_clip
from systems.training.muon import MuonWithAdamW, split_matrices
from systems.training_data.augmentation import Augmentation
from systems.training_data.caption_pairs import CaptionPairs
from systems.training_data.toy_pictures import kept_pictures

MAX_LOGIT_SCALE = math.log(100)  # Radford et al. 2021


class TrainClip(pl.LightningModule):
    """The symmetric contrastive loss of CLIP; a batch has several captions that are true of a picture, and many that
    are nearly so.

    n_objects: rendered before the first step, by so many `workers` (processes), and kept at cache_path.
    batch_size: pictures; the views of an object stay together. muon_rate: of matrices, see systems/training/muon.py.
    """

    def __init__(
        self,
        clip: CLIPModel,
        tokenizer: PreTrainedTokenizerFast,
        views: ToyViews,
        augmentation: Augmentation,
        out: str,
        cache_path: str,
        n_objects: PositiveInt = 12000,
        n_near_misses: NonNegativeInt = 2,
        batch_size: PositiveInt = 128,
        learning_rate: PositiveFloat = 1e-3,
        muon_rate: PositiveFloat = 5e-3,
        weight_decay: NonNegativeFloat = 0.05,
        warmup_steps: PositiveInt = 50,
        max_steps: PositiveInt = 4500,
        ema_decay: Fraction = 0.998,
        workers: NonNegativeInt = 0,
        seed: NonNegativeInt = 0,
    ) -> None:
        super().__init__()
        self.clip = clip
        self.average = copy.deepcopy(clip).requires_grad_(False)
        self.tokenizer, self.views, self.augmentation = tokenizer, views, augmentation
        self.preprocess = Preprocessing(resize=None, crop=None)
        self.out, self.cache_path = Path(out), Path(cache_path)
        self.n_objects, self.n_near_misses, self.batch_size = n_objects, n_near_misses, batch_size
        self.learning_rate, self.muon_rate, self.weight_decay = learning_rate, muon_rate, weight_decay
        self.warmup_steps, self.max_steps, self.ema_decay = warmup_steps, max_steps, ema_decay
        self.workers, self.seed = workers, seed

    def on_train_start(self) -> None:
        pictures = kept_pictures(self.cache_path, self.views, self.n_objects, self.seed, self.workers)
        self.pairs = CaptionPairs(pictures, self.n_near_misses)

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        rng = step_generator(self.seed, self.global_step)
        seen = self.pairs.draw(self.batch_size // self.views.n_view, rng)
        images = self.augmentation(seen.images, rng).to(self.device)
        true = seen.true.to(self.device)
        logits = self.compare(images, seen.texts)
        loss = (pair_loss(logits, true) + pair_loss(logits.T, true.T)) / 2
        right = true.gather(1, logits.argmax(dim=1, keepdim=True)).float().mean()
        self.log_dict({"loss": loss, "right": right, "logit_scale": self.clip.logit_scale.exp()}, prog_bar=True)
        return loss

    def compare(self, images: Float[Tensor, "b h w 3"], texts: list[str]) -> Float[Tensor, "b m"]:
        """Cosines times the logit scale, in float32: bfloat16 has no more than two digits."""
        ids = self.tokenizer(texts, padding=True, truncation=True, return_tensors="pt")["input_ids"].to(self.device)
        image = self.clip.get_image_features(pixel_values=self.preprocess(images)).pooler_output
        text = self.clip.get_text_features(ids).pooler_output  # causal: what comes after the end changes nothing
        with torch.autocast(self.device.type, enabled=False):
            cosine = normalize(image.float(), dim=-1) @ normalize(text.float(), dim=-1).T
            return self.clip.logit_scale.exp() * cosine

    def optimizer_step(self, *args: Any, **options: Any) -> None:
        """Averages here, not in a hook of its own: callbacks, which write checkpoints, run before those. The average
        starts short, so that it forgets the first weights."""
        super().optimizer_step(*args, **options)
        with torch.no_grad():
            self.clip.logit_scale.clamp_(max=MAX_LOGIT_SCALE)
        decay = min(self.ema_decay, (1 + self.global_step) / (10 + self.global_step))
        get_ema_multi_avg_fn(decay)(list(self.average.parameters()), list(self.clip.parameters()), 0)

    def configure_optimizers(self):
        matrices, others = split_matrices(self.clip)
        optimizer = MuonWithAdamW(matrices, others, self.muon_rate, self.learning_rate, self.weight_decay)
        return warmed_up(optimizer, self.warmup_steps, self.max_steps)

    def train_dataloader(self) -> DataLoader:
        return steps_loader(self.max_steps)

    def on_fit_end(self) -> None:
        """Also of a fit that had nothing left to do, because the last one was killed before it wrote the folder."""
        self.save()

    def save(self) -> None:
        """Writes the averaged weights, float16, as a folder that metrics/clip.py reads."""
        with whole_folder(self.out) as draft:
            save_clip(self.average, self.tokenizer, draft)


def pair_loss(logits: Float[Tensor, "b m"], true: Bool[Tensor, "b m"]) -> Float[Tensor, ""]:
    """-log e^s / (e^s + sum of e^f over the row's false f), mean over the row's true s, then over rows that have any.

    Where one is true this is InfoNCE; several that are true do not compete.
    """
    false = logits.masked_fill(true, -1e4).logsumexp(dim=1, keepdim=True)
    count = true.sum(dim=1)
    loss = (softplus(false - logits) * true).sum(dim=1) / count.clamp(min=1)
    return loss.sum() / (count > 0).sum()
