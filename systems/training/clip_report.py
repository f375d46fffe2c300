"""How well a CLIP knows toys that it has never seen: which caption, and which side."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from data.cameras import Cameras
from data.directions import DIRECTIONS, direction
from data.ranges import NonNegativeFloat, PositiveInt
from data.samplers import turntable
from data.toybox.captions import caption, parse
from data.toybox.grammar import Toy
from data.toybox.near_misses import one_color_away
from data.toybox.split import HELD_OUT
from metrics.clip import Clip
from metrics.clip_score import score
from metrics.text_image import TextImageModel
from metrics.toybox_truth import true_views
from metrics.views import ClipViews
from systems.reports.provenance import provenance, write_whole
from systems.training.train_clip import TrainClip
from systems.training_data.augmentation import blurred

ELEVATIONS = (0.0, 30.0)


@dataclass(frozen=True)
class Quality:
    """retrieval: share of pictures of held-out toys that are nearest to their own caption among `n_candidates`: those
    of all held-out toys, and all that differ from one of them by one colour. views: share of views told right among
    front, side and back, mean over the three, then over the toys; by_toy: of each.
    """

    retrieval: float
    n_candidates: int
    views: float
    by_toy: dict[str, float]


def measure(model: TextImageModel, captions: Sequence[str] = HELD_OUT, blur: float = 0.0, size: int = 64) -> Quality:
    """blur: standard deviation of a Gaussian, pixels."""
    toys = [parse(text) for text in captions]
    names = [caption(toy) for toy in toys]
    candidates = sorted({caption(other) for toy in toys for other in (toy, *one_color_away(toy))})
    views, by_toy, shown = ClipViews(model), {}, []
    for toy, name in zip(toys, names, strict=True):
        images, seen = _pictures(toy, size)
        images = blurred(images, torch.full((len(images),), blur))
        by_toy[name] = balanced_accuracy(views.p_views(images, name).argmax(dim=1).cpu(), seen)
        shown.append(images)
    prompts = [name for name, images in zip(names, shown, strict=True) for _ in images]
    retrieval = score(model, torch.cat(shown), prompts, candidates).retrieved.float().mean().item()
    return Quality(retrieval, len(candidates), statistics.fmean(by_toy.values()), by_toy)


def balanced_accuracy(told: Int[Tensor, "b"], true: Int[Tensor, "b"]) -> float:
    """The share told right of each of the classes, mean over the classes."""
    shares = [(told[true == one] == one).float().mean().item() for one in range(len(DIRECTIONS))]
    return statistics.fmean(shares)


def _pictures(toy: Toy, size: int) -> tuple[Float[Tensor, "b h w 3"], Int[Tensor, "b"]]:
    """From all around, 30 degrees apart, which leaves out the borders between the directions."""
    rings: list[Cameras] = [turntable(12, size, elevation) for elevation in ELEVATIONS]
    images = torch.cat([true_views(toy, ring)[0] for ring in rings])
    return images, torch.cat([direction(ring.azimuth, ring.elevation) for ring in rings])


class ClipReport(Callback):
    """Every so many steps saves the averaged weights, reads them back and measures them; at the end, too, and then
    writes metrics.json. blur: of the second measurement, pixels."""

    def __init__(
        self, every: PositiveInt = 500, blur: NonNegativeFloat = 1.5, captions: Sequence[str] = HELD_OUT
    ) -> None:
        self.every, self.blur, self.captions = every, blur, captions

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        if trainer.global_step % self.every:
            return
        assert isinstance(pl_module, TrainClip)
        pl_module.save()
        sharp, blurry = self._measure(pl_module, pl_module.device)
        for name, quality in (("sharp", sharp), ("blurred", blurry)):
            pl_module.log_dict({f"{name}/retrieval": quality.retrieval, f"{name}/views": quality.views})

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """After the weights are saved; metrics.json says that the run is finished."""
        device = trainer.strategy.root_device
        sharp, blurry = self._measure(pl_module, device)
        metrics = {
            "steps": trainer.global_step,
            "sharp": vars(sharp),
            "blurred": {"deviation": self.blur, **vars(blurry)},
            **provenance(device),
        }
        write_whole(Path(trainer.default_root_dir) / "metrics.json", metrics)

    def _measure(self, pl_module: LightningModule, device: torch.device) -> tuple[Quality, Quality]:
        """Of the weights that were saved last."""
        assert isinstance(pl_module, TrainClip)
        clip = Clip(str(pl_module.out), str(device))
        return measure(clip, self.captions), measure(clip, self.captions, self.blur)
