"""How good the prior itself is: samples of held-out captions beside the true toys, before any distillation."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from data.errors import UserError
from data.ranges import NonNegativeFloat, NonNegativeInt, PositiveInt
from data.samplers import turntable
from data.toybox.split import HELD_OUT, is_held_out
from guidance.prior import TextPrior
from guidance.prompts import PromptProcessor
from guidance.sampling import sample
from metrics.ground_truth import GroundTruthScore, compare
from metrics.toybox_truth import silhouette_on_grey, toy_of, true_views
from systems.pictures import to_bytes, write_row
from systems.rng import step_generator
from systems.run_folder import RunFolder


class EvaluatePrior:
    """Samples four views (or, of a 2D prior, four pictures) per caption; a score counts for captions held out of training."""

    def __init__(
        self,
        prior: TextPrior,
        captions: Sequence[str] = HELD_OUT[:12],
        steps: PositiveInt = 30,
        scale: NonNegativeFloat = 4.0,
        elevation: float = 15.0,
        seed: NonNegativeInt = 0,
    ) -> None:
        self.prior, self.captions = prior, captions
        self.steps, self.scale, self.elevation, self.seed = steps, scale, elevation, seed

    def run(self, folder: RunFolder, checkpoint: Path | None) -> None:
        started = time.monotonic()
        rows, scores = [], {}
        for i, caption in enumerate(self.captions):
            images, true_rgb, score = self.one(caption, step_generator(self.seed, i))
            scores[caption] = score
            rows.append(torch.cat([*images, *true_rgb], dim=1))
            print(f"{caption}: IoU {score.silhouette_iou:.3f}, PSNR {score.psnr:.1f} dB", flush=True)
        seconds = (time.monotonic() - started) / len(self.captions)
        write_row(folder.path / "samples.png", [to_bytes(torch.cat(rows))])
        metrics = {
            "mean_silhouette_iou": sum(s.silhouette_iou for s in scores.values()) / len(scores),
            "mean_psnr": sum(s.psnr for s in scores.values()) / len(scores),
            "seconds_per_sample": seconds,
            "held_out": all(is_held_out(toy) for text in scores if (toy := toy_of(text))),
            "captions": {text: asdict(score) for text, score in scores.items()},
        }
        print({key: value for key, value in metrics.items() if key != "captions"})
        folder.metrics.write_text(json.dumps(metrics, indent=2) + "\n")

    def one(
        self, caption: str, rng: torch.Generator
    ) -> tuple[Float[Tensor, "v h w 3"], Float[Tensor, "v h w 3"], GroundTruthScore]:
        """Samples, truth, and how close they are."""
        toy = toy_of(caption)
        if toy is None:
            raise UserError(f'job.captions: "{caption}" is about no toy, so there is no truth to compare with')
        cameras = turntable(4, self.prior.image_size, self.elevation)
        embeddings = PromptProcessor(caption)(self.prior)
        images = sample(self.prior, *embeddings.at(cameras), rng, self.steps, self.scale)
        true_rgb, true_opacity = true_views(toy, cameras)
        return images, true_rgb, compare(images, silhouette_on_grey(images), true_rgb, true_opacity)
