"""A prior that knows one subject more: fine-tuned on a few pictures of it (DreamBooth, as MVDream does it)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pytorch_lightning as pl
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import Parameter
from torch.utils.data import DataLoader

from data.ranges import Fraction, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from data.subject_pictures import read_subject
from guidance.diffusion_prior import DiffusionPrior
from guidance.learner import Learner
from systems.augmentation import moved
from systems.dataloader import steps_loader
from systems.preserving import Preservation
from systems.rng import step_generator


class DreamBooth(pl.LightningModule):
    """L = |eps_hat(x_t, t, "a sks dog") - eps|^2 on the pictures, in 2D mode, plus what `preservation` asks for
    (Shi et al. 2023, MVDream, section 3.4; Ruiz et al. 2023). The paper: 600 steps of 4 at 2e-6.

    pictures: the folder of 3 to 6 pictures. token: the word that will mean the subject. around: what else the pictures
    show, in words, so that the token need not mean that, too: ", colorful background".
    parts, rank, checkpointing: see guidance/learner.py. word_rate: the learning rate of the word, where that is a part.
    shift, zoom: how much a picture is moved and enlarged at most, as shares of it; it is never mirrored.
    """

    def __init__(
        self,
        prior: DiffusionPrior,
        preservation: Preservation,
        pictures: str,
        token: str,
        kind: str,
        around: str = "",
        parts: Sequence[Literal["unet", "text_encoder", "word"]] = ("unet", "text_encoder"),
        rank: PositiveInt | None = None,
        batch_size: PositiveInt = 4,
        learning_rate: PositiveFloat = 2e-6,
        word_rate: PositiveFloat = 1e-3,
        weight_decay: NonNegativeFloat = 0.01,
        shift: Fraction = 0.03,
        zoom: Fraction = 0.05,
        max_steps: PositiveInt = 600,
        checkpointing: bool = False,
        seed: NonNegativeInt = 0,
    ) -> None:
        super().__init__()
        self.prior, self.preservation, self.kind = prior, preservation, kind
        self.pictures = read_subject(pictures, prior.image_size)
        self.subject = f"a {token} {kind}"
        self.sentence = self.subject + around
        self.learner = Learner(prior.weights, token, parts, rank, prior.device, checkpointing, seed)
        self.batch_size, self.learning_rate, self.weight_decay = batch_size, learning_rate, weight_decay
        self.word_rate = word_rate
        self.shift, self.zoom = shift, zoom
        self.max_steps, self.seed = max_steps, seed
        preservation.remember(self.learner)

    def on_fit_start(self) -> None:
        self.preservation.prepare(self.prior, Path(self.trainer.default_root_dir))

    def training_step(self, batch: list[Tensor], batch_idx: int) -> dict[str, Tensor]:
        rng = step_generator(self.seed, self.global_step)
        with torch.no_grad():
            latents = self.prior.encode(self.draw(rng).to(self.device))
        learned = self.learner.loss(latents, self.sentence, rng)
        kept = self.preservation(self.learner, rng)
        shares = {"loss/subject": learned.detach(), "loss/preservation": kept.detach()}
        return {"loss": learned + kept, **shares}

    def draw(self, rng: torch.Generator) -> Float[Tensor, "b h w 3"]:
        """Each picture as often as any other, never twice before all; a little moved."""
        n, count = len(self.pictures), self.batch_size
        order = [torch.randperm(n, generator=rng) for _ in range(-(-count // n))]
        uniform = lambda *shape: 2 * torch.rand(shape, generator=rng) - 1
        zoom, shift = 1 + self.zoom * uniform(count), self.shift * uniform(count, 2)
        return moved(self.pictures[torch.cat(order)[:count]], zoom, shift, torch.zeros(count, dtype=torch.bool))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The word at a rate of its own: it has far to go, and nothing to lose."""
        word = self.learner.of_word()
        others = [weight for weight in self.learner.parameters() if all(weight is not one for one in word)]
        groups: list[dict[str, list[Parameter] | float]] = []
        if others:
            groups.append({"params": others, "lr": self.learning_rate, "weight_decay": self.weight_decay})
        if word:
            groups.append({"params": word, "lr": self.word_rate, "weight_decay": 0.0})
        return torch.optim.AdamW(groups, fused=True)

    def train_dataloader(self) -> DataLoader:
        return steps_loader(self.max_steps)
