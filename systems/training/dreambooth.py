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

from data.cameras import condition
from data.ranges import Fraction, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from data.samplers import turntable
from data.subject_pictures import before, read_subject
from data.toybox.raycast import BACKGROUND
from guidance.diffusion_prior import DiffusionPrior
from guidance.learner import Learner
from systems.dataloader import steps_loader
from systems.rng import step_generator
from systems.training.preserving import Preservation
from systems.training.shared_batch import SharedBatch
from systems.training_data.augmentation import moved


class DreamBooth(pl.LightningModule):
    """L = |eps_hat(x_t, t, "a sks dog") - eps|^2 on the pictures, in 2D mode, plus what `preservation` asks for
    (Shi et al. 2023, MVDream, section 3.4; Ruiz et al. 2023). The paper: 600 steps of 4 at 2e-6.

    pictures: the folder of 3 to 6 pictures. token: the word that will mean the subject. around: what else the pictures
    show, in words, so that the token need not mean that, too: ", colorful background". Those that are cut out stand
    before a random colour half of the time, and else before grey, with nothing said of it.
    azimuths: from where the pictures were taken, in degrees, 0 is the front and 90 the subject's left, in the order of
    the files' names: then the prior is told, and learns the subject in its multi-view mode. The paper does not.
    parts, rank, checkpointing: see guidance/learner.py. text_rate: the learning rate of the text encoder (null: that of
    the UNet); word_rate: of the word, where that is a part.
    batch_size: pictures of an optimiser step, in however many pieces (trainer.accumulate_grad_batches).
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
        azimuths: Sequence[float] | None = None,
        parts: Sequence[Literal["unet", "text_encoder", "word"]] = ("unet", "text_encoder"),
        rank: PositiveInt | None = None,
        batch_size: PositiveInt = 4,
        learning_rate: PositiveFloat = 2e-6,
        text_rate: PositiveFloat | None = None,
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
        self.cameras = None if azimuths is None else _cameras(azimuths)
        self.subject = f"a {token} {kind}"
        self.around = around
        self.learner = Learner(prior.weights, token, parts, rank, prior.device, checkpointing, seed)
        self.batch_size, self.learning_rate, self.weight_decay = batch_size, learning_rate, weight_decay
        self.text_rate, self.word_rate = text_rate or learning_rate, word_rate
        self.shift, self.zoom = shift, zoom
        self.max_steps, self.seed = max_steps, seed
        preservation.remember(self.learner)

    def on_fit_start(self) -> None:
        self.shared = SharedBatch(self.trainer, self.batch_size)
        self.preservation.prepare(self.prior, Path(self.trainer.default_root_dir))

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        rng = step_generator(self.seed, self.global_step)
        images, sentences, cameras = self.draw(rng)
        if number := self.shared.number(batch_idx):  # pieces have noise of their own
            rng.manual_seed(int(torch.randint(2**62, (number,), generator=rng)[-1]))
        own = self.shared.place(batch_idx)
        with torch.no_grad():
            latents = self.prior.encode(images[own].to(self.device))
        told = None if cameras is None else cameras[own].to(self.device)
        learned = self.learner.loss(latents, sentences[own], rng, told)
        kept = self.preservation(self.learner, rng)
        losses = {"loss": learned + kept, "loss/subject": learned, "loss/preservation": kept}
        self.log_dict(self.shared.mean(losses, batch_idx))
        return losses["loss"]

    def draw(self, rng: torch.Generator) -> tuple[Float[Tensor, "b h w 3"], list[str], Float[Tensor, "b 16"] | None]:
        """Each picture as often as any other, never twice before all; a little moved. And what is said of it."""
        n, count = len(self.pictures.colors), self.batch_size
        order = [torch.randperm(n, generator=rng) for _ in range(-(-count // n))]
        index = torch.cat(order)[:count]
        cameras = None if self.cameras is None else self.cameras[index]
        uniform = lambda *shape: torch.rand(shape, generator=rng)
        zoom, shift = 1 + self.zoom * uniform(count), self.shift * (2 * uniform(count, 2) - 1)
        still = lambda images: moved(images[index], zoom, shift, torch.zeros(count, dtype=torch.bool))
        colors, coverage = still(self.pictures.colors), still(self.pictures.coverage)
        if not self.pictures.are_cut_out:
            return colors, [self.subject + self.around] * count, cameras
        colorful, anything = uniform(count) < 0.5, uniform(count, 3)
        images = before(colors, coverage, torch.where(colorful[:, None], anything, BACKGROUND))
        return images, [self.subject + (self.around if said else "") for said in colorful.tolist()], cameras

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The word at a rate of its own: it has far to go, and nothing to lose."""
        rates = {"unet": self.learning_rate, "text_encoder": self.text_rate, "word": self.word_rate}
        groups: list[dict[str, list[Parameter] | float]] = [
            {"params": weights, "lr": rates[part], "weight_decay": 0.0 if part == "word" else self.weight_decay}
            for part, weights in self.learner.by_part().items()
        ]
        return torch.optim.AdamW(groups, fused=True)

    def train_dataloader(self) -> DataLoader:
        return steps_loader(self.max_steps * self.trainer.accumulate_grad_batches)


def _cameras(azimuths: Sequence[float]) -> Float[Tensor, "n 16"]:
    """As the prior is told them; from a little above, since a degree more or less matters little."""
    return torch.cat([condition(turntable(1, 1, start=azimuth)) for azimuth in azimuths])
