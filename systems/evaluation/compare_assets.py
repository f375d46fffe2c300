"""What a prior makes of the captions of real objects, beside their true renders: of some that it was trained on, and of
some that it never saw."""

from __future__ import annotations

import difflib
import logging
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from data.cameras import Cameras
from data.captioned_assets import HELDOUT, TRAIN
from data.errors import UserError
from data.ranges import PositiveInt, Seed
from data.rings import groups_around
from data.shard_views import over
from data.shards import SeenObject, Shards, resized, shard_files
from data.toybox.raycast import BACKGROUND
from guidance.prior import TextPrior
from guidance.prompts import PromptProcessor
from guidance.sampling import Sampler
from guidance.vocabulary import unknown_words
from metrics.ground_truth import GroundTruthScore, compare, psnr
from metrics.toybox_truth import silhouette_on_grey
from systems.command.run_folder import RunFolder
from systems.reports.pictures import to_bytes, write_row
from systems.reports.provenance import provenance, write_whole
from systems.rng import step_generator

log = logging.getLogger(__name__)
SPLITS = (HELDOUT, TRAIN)
VIEWS, ABREAST, LINE, GAP = 4, 2, 14, 6  # views of an object, objects in a row; pixels


@dataclass(frozen=True)
class Compared:
    caption: str
    split: str
    score: GroundTruthScore
    autoencoder_psnr: float  # of the truth, encoded and decoded: what no sample can surpass
    row: UInt8[np.ndarray, "y x 3"]  # caption, samples, truth


class CompareAssets:
    """Samples four views of a caption, from the cameras of four true ones.

    captions: each one of an object in the shards; null: of `n_objects` of each split that there is, such that the prior
    knows.
    """

    def __init__(
        self,
        prior: TextPrior,
        sampler: Sampler,
        shards: str,
        captions: Sequence[str] | None = None,
        n_objects: PositiveInt = 12,
        seed: Seed = 0,
        cache_dir: str = "~/.cache/fourview/prompts",
    ) -> None:
        self.prior, self.sampler, self.seed, self.cache_dir = prior, sampler, seed, cache_dir
        self.device = prior.alphas_cumprod.device
        self.shards = open_splits(shards)
        self.chosen = (
            [self._find(text) for text in captions]
            if captions
            else choose_objects(self.shards, n_objects, prior.vocabulary)
        )

    def run(self, folder: RunFolder, checkpoint: Path | None) -> None:
        compared = self.compare()
        write_row(folder.path / "samples.png", [sheet(compared)])
        for one in compared:
            log.info(
                "%s (%s): PSNR %.1f dB, IoU %.3f", one.caption, one.split, one.score.psnr, one.score.silhouette_iou
            )
        objects = [
            {"caption": c.caption, "split": c.split, **asdict(c.score), "autoencoder_psnr": c.autoencoder_psnr}
            for c in compared
        ]
        metrics = {
            **mean_scores(compared),
            "sampler": self.sampler.name,
            "steps": self.sampler.steps,
            "scale": self.sampler.scale,
            **provenance(self.device),
            "objects": objects,
        }
        write_whole(folder.metrics, metrics)

    def compare(self) -> list[Compared]:
        return [self._one(*chosen, step_generator(self.seed, i)) for i, chosen in enumerate(self.chosen)]

    def _one(self, caption: str, split: str, index: int, rng: torch.Generator) -> Compared:
        truth = self._truth(split, index)
        rgba = truth.images.float() / 255
        true_rgb, true_opacity = over(rgba, torch.full((VIEWS, 3), BACKGROUND)), rgba[..., 3:]
        images = self._sample(caption, truth, rng)
        with torch.no_grad():
            decoded = self.prior.decode(self.prior.encode(true_rgb.to(self.device))).cpu()
        score = compare(images, silhouette_on_grey(images), true_rgb, true_opacity)
        row = labelled(f"{'held out' if split == HELDOUT else 'trained'}: {caption}", images, true_rgb)
        return Compared(caption, split, score, psnr(decoded, true_rgb), row)

    def _sample(self, caption: str, truth: SeenObject, rng: torch.Generator) -> Float[Tensor, "v h w 3"]:
        embeddings = PromptProcessor(caption, cache_dir=self.cache_dir)(self.prior)
        return self.sampler(self.prior, embeddings.at(truth.cameras.to(self.device)), rng).cpu()

    def _truth(self, split: str, index: int) -> SeenObject:
        """Four views, evenly apart, from the one that is nearest to the front."""
        shards = self.shards[split]
        seen = shards.see_chosen(index, lambda cameras: from_the_front(cameras, shards.place(index)))
        return resized(seen, self.prior.image_size)

    def _find(self, caption: str) -> tuple[str, str, int]:
        said = {
            text: (caption, split, index)
            for split, shards in self.shards.items()
            for index in range(len(shards))
            for text in shards.captions(index)
        }
        if caption not in said:
            near = "; ".join(difflib.get_close_matches(caption, said)) or "none is near"
            raise UserError(f'job.captions: no object of the shards is "{caption}"; these are nearest: {near}')
        return said[caption]


def open_splits(path: str) -> dict[str, Shards]:
    """Of the two those that there are: nothing need be held out."""
    there = [split for split in SPLITS if shard_files(path, split)]
    return {split: Shards(path, split, key="shards") for split in there or [TRAIN]}


def choose_objects(
    splits: Mapping[str, Shards], n_objects: int, vocabulary: Sequence[str] | None
) -> list[tuple[str, str, int]]:
    """Objects from the whole list, each with the first of its captions of which all words are in the vocabulary."""
    chosen = []
    for split, shards in splits.items():
        once = {shards.name(index): index for index in range(len(shards))}  # several runs may have rendered it
        known = [(text, split, i) for i in once.values() for text in _known(shards.captions(i), vocabulary)[:1]]
        count = min(n_objects, len(known))
        chosen += [known[i * len(known) // count] for i in range(count)]
    if not chosen:
        raise UserError("the prior knows the words of no caption of the shards: say one that was trained on them")
    return chosen


def _known(captions: Sequence[str], vocabulary: Sequence[str] | None) -> list[str]:
    return [text for text in captions if vocabulary is None or not unknown_words(text, tuple(vocabulary))]


def from_the_front(cameras: Cameras, place: str) -> list[int]:
    facing = torch.cos(cameras.azimuth)
    group = max(groups_around(cameras, VIEWS, place), key=lambda group: float(facing[group].max()))
    first = int(facing[group].argmax())
    return [*group[first:], *group[:first]]


def mean_scores(compared: Sequence[Compared]) -> dict[str, dict[str, float]]:
    """By split."""
    scores = {}
    for split in dict.fromkeys(one.split for one in compared):
        own = [one for one in compared if one.split == split]
        decoded = [one.autoencoder_psnr for one in own]
        scores[split] = {
            "mean_silhouette_iou": statistics.fmean(one.score.silhouette_iou for one in own),
            "mean_psnr": statistics.fmean(one.score.psnr for one in own),
            "autoencoder_psnr": statistics.fmean(decoded),
            "autoencoder_psnr_worst": min(decoded),
        }
    return scores


def labelled(
    label: str, samples: Float[Tensor, "v h w 3"], truth: Float[Tensor, "v h w 3"]
) -> UInt8[np.ndarray, "y x 3"]:
    """The samples, then the truth, under a line of text."""
    gap = torch.ones(samples.shape[1], GAP, 3)
    pictures = to_bytes(torch.cat([*samples, gap, *truth, gap], dim=1))
    line = Image.new("RGB", (pictures.shape[1], LINE), "white")
    ImageDraw.Draw(line).text((2, 0), label, "black", ImageFont.load_default(11))
    return np.concatenate([np.array(line), pictures])


def sheet(compared: Sequence[Compared]) -> UInt8[np.ndarray, "y x 3"]:
    rows = [one.row for one in compared]
    rows += [np.full_like(rows[0], 255)] * (-len(rows) % ABREAST)
    return np.concatenate([np.concatenate(rows[i : i + ABREAST], axis=1) for i in range(0, len(rows), ABREAST)])
