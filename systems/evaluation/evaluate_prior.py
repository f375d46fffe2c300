"""How good the prior itself is: samples of held-out captions beside the true toys, before any distillation."""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from data.errors import UserError
from data.ranges import NonNegativeInt
from data.samplers import turntable
from data.toybox.grammar import Toy
from data.toybox.split import HELD_OUT, is_held_out
from guidance.prior import TextPrior
from guidance.prompts import PromptProcessor
from guidance.sampling import Sampler
from metrics.ground_truth import GroundTruthScore, compare, psnr
from metrics.toybox_truth import silhouette_on_grey, toy_of, true_views
from systems.command.run_folder import RunFolder
from systems.reports.pictures import to_bytes, write_row
from systems.reports.provenance import provenance, write_whole
from systems.rng import step_generator

log = logging.getLogger(__name__)


class EvaluatePrior:
    """Samples four views (of a 2D prior: four pictures) per caption, by default captions held out of training."""

    def __init__(
        self,
        prior: TextPrior,
        sampler: Sampler,
        captions: Sequence[str] = HELD_OUT[:12],
        elevation: float = 15.0,
        seed: NonNegativeInt = 0,
        cache_dir: str = "~/.cache/fourview/prompts",
    ) -> None:
        self.prior, self.sampler, self.captions = prior, sampler, captions
        self.elevation, self.seed = elevation, seed
        self.cache_dir = cache_dir
        self.device = prior.alphas_cumprod.device

    def run(self, folder: RunFolder, checkpoint: Path | None) -> None:
        started = time.monotonic()
        grid, scores = self.sample()
        seconds = (time.monotonic() - started) / len(self.captions)
        write_row(folder.path / "samples.png", [to_bytes(grid)])
        for caption, score in scores.items():
            log.info("%s: IoU %.3f, PSNR %.1f dB", caption, score.silhouette_iou, score.psnr)
        decoded = [self.autoencoder_psnr(caption) for caption in self.captions]
        metrics = {
            **mean_scores(scores),
            "autoencoder_psnr": {"mean": statistics.fmean(decoded), "worst": min(decoded)},
            "seconds_per_sample": seconds,
            "sampler": self.sampler.name,
            "steps": self.sampler.steps,
            "scale": self.sampler.scale,
            **provenance(self.device),
            "held_out": all(is_held_out(toy) for text in scores if (toy := toy_of(text))),
            "captions": {text: asdict(score) for text, score in scores.items()},
        }
        log.info("mean IoU %.3f, mean PSNR %.2f dB, %.1f s per sample", *mean_scores(scores).values(), seconds)
        log.info("autoencoder: mean PSNR %.1f dB, worst %.1f dB", statistics.fmean(decoded), min(decoded))
        write_whole(folder.metrics, metrics)

    def sample(self) -> tuple[Float[Tensor, "h w 3"], dict[str, GroundTruthScore]]:
        """The grid, per row the samples and then the truth, and the scores by caption."""
        rows, scores = [], {}
        for i, caption in enumerate(self.captions):
            images, true_rgb, scores[caption] = self.one(caption, step_generator(self.seed, i))
            rows.append(torch.cat([*images, *true_rgb], dim=1))
        return torch.cat(rows), scores

    def one(
        self, caption: str, rng: torch.Generator
    ) -> tuple[Float[Tensor, "v h w 3"], Float[Tensor, "v h w 3"], GroundTruthScore]:
        """Samples, truth, and how close they are."""
        cameras = turntable(4, self.prior.image_size, self.elevation)
        embeddings = PromptProcessor(caption, cache_dir=self.cache_dir)(self.prior)
        images = self.sampler(self.prior, embeddings.at(cameras.to(self.device)), rng).cpu()
        true_rgb, true_opacity = true_views(self._toy(caption), cameras)
        return images, true_rgb, compare(images, silhouette_on_grey(images), true_rgb, true_opacity)

    def autoencoder_psnr(self, caption: str) -> float:
        """Of the true views, encoded and decoded: what no sample can surpass."""
        true_rgb, _ = true_views(self._toy(caption), turntable(4, self.prior.image_size, self.elevation))
        with torch.no_grad():
            return psnr(self.prior.decode(self.prior.encode(true_rgb.to(self.device))).cpu(), true_rgb)

    def _toy(self, caption: str) -> Toy:
        if toy := toy_of(caption):
            return toy
        raise UserError(f'job.captions: "{caption}" is about no toy, so there is no truth to compare with')


def mean_scores(scores: Mapping[str, GroundTruthScore]) -> dict[str, float]:
    return {
        "mean_silhouette_iou": statistics.fmean(score.silhouette_iou for score in scores.values()),
        "mean_psnr": statistics.fmean(score.psnr for score in scores.values()),
    }
