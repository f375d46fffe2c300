"""The job of drawing pictures from a prior: what it makes of a prompt, before any distillation."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import imageio.v3 as iio
import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from data.cameras import Cameras
from data.errors import UserError
from data.ranges import PositiveInt, Seed
from data.samplers import turntable
from guidance.prior import StoredPrior, join_all
from guidance.prompts import PromptEmbeddings, PromptProcessor, embed_all
from guidance.sampling import Sampler
from systems.command.prompt_list import file_stems, prompt_list
from systems.command.run_folder import RunFolder, interrupted
from systems.reports.manifest import Picture, check_manifest, write_manifest
from systems.reports.pictures import to_bytes, write_picture, write_row
from systems.reports.progress import countdown
from systems.reports.provenance import provenance, write_whole
from systems.rng import step_generator

log = logging.getLogger(__name__)
Views = tuple[Picture, ...]  # of one sample
GRID_ROWS = 100  # a taller picture does not open everywhere; images/ holds them all
READ_TOGETHER = 64  # prompts
LINE_EVERY = 10.0  # seconds, where there is no terminal for a bar


class Sample:
    """Draws `n_samples` objects per prompt, each as `n_view` pictures (null: as many as the prior attends together).

    elevation, azimuth_start, span: in degrees; the views stand span / n_view apart. Azimuth 0 is the front, which
    MVDream's scripts call 90, their default. A prior is told neither distance nor field of view.
    seed: with a sample's number it determines the noise of the sample, whatever else is drawn.
    batch: samples drawn together. Another batch may round differently, so that it is no continuation of this one.
    all_differ: samples are counted through all prompts, not for each anew: no two of them begin with the same noise.
    """

    def __init__(
        self,
        prior: StoredPrior,
        sampler: Sampler,
        prompt_processor: Callable[..., PromptProcessor],
        prompt: str | None = None,
        prompts: Sequence[str] | None = None,
        file: str | None = None,
        n_samples: PositiveInt = 4,
        n_view: PositiveInt | None = None,
        elevation: float = 15.0,
        azimuth_start: float = 0.0,
        span: float = 360.0,
        seed: Seed = 0,
        batch: PositiveInt = 1,
        all_differ: bool = False,
    ) -> None:
        if prior.n_view > 1 and n_view not in (None, prior.n_view):
            raise UserError(f"job.n_view={n_view}: the prior attends to {prior.n_view}; say prior.n_view={n_view}")
        self.prior, self.sampler, self.prompt_processor = prior, sampler, prompt_processor
        self.prompts = prompt_list(prompt, prompts, file)
        self.n_samples, self.n_view = n_samples, n_view or prior.n_view
        self.elevation, self.azimuth_start, self.span = elevation, azimuth_start, span
        self.seed, self.batch, self.all_differ = seed, batch, all_differ
        self.device = prior.alphas_cumprod.device
        self._embeddings: dict[str, PromptEmbeddings] = {}

    def run(self, folder: RunFolder, checkpoint: Path | None) -> None:
        plan, seconds = self.draw_into(folder, checkpoint)
        rows = [np.concatenate(list(read_views(folder.path, views)), axis=1) for views in plan[:GRID_ROWS]]
        write_row(folder.path / "grid.png", [np.concatenate(rows)])
        write_whole(folder.metrics, {**self.facts(len(plan), seconds), **provenance(self.device)})

    def draw_into(self, folder: RunFolder, checkpoint: Path | None) -> tuple[list[Views], float | None]:
        """All samples, as files of the folder, and the seconds that a new one took."""
        plan, manifest = self.plan(), folder.checkpoint
        pictures = [one for views in plan for one in views]
        if checkpoint is not None:
            if checkpoint.resolve() != manifest.resolve():
                raise UserError(f"resume={checkpoint}: samples are continued where they lie; say resume=auto")
            check_manifest(manifest, pictures)
        write_manifest(manifest, pictures)
        try:
            return plan, self.draw_missing(folder.path, plan)
        finally:
            write_manifest(manifest, pictures)

    def facts(self, n_samples: int, seconds: float | None) -> dict[str, str | int | float | None]:
        """For metrics.json: what was drawn, and how."""
        return {
            "samples": n_samples,
            "images": n_samples * self.n_view,
            "seconds_per_sample": seconds,
            "sampler": self.sampler.name,
            "steps": self.sampler.steps,
            "scale": self.sampler.scale,
            "prior": self.prior.fingerprint,
        }

    def plan(self) -> list[Views]:
        """All samples, of a prompt one after the other."""
        stems, n = file_stems(self.prompts), self.n_samples
        first = lambda p: p * n if self.all_differ else 0
        return [
            self._views(prompt, stems[prompt], first(p) + i) for p, prompt in enumerate(self.prompts) for i in range(n)
        ]

    def _views(self, prompt: str, stem: str, sample: int) -> Views:
        return tuple(
            Picture(
                file=f"images/{stem}-{sample}-{view}.png",
                prompt=prompt,
                sample=sample,
                view=view,
                azimuth=self.azimuth_start + self.span / self.n_view * view,
                elevation=self.elevation,
                seed=self.seed,
                sampler=self.sampler.name,
                steps=self.sampler.steps,
                scale=self.sampler.scale,
                prior=self.prior.fingerprint,
            )
            for view in range(self.n_view)
        )

    def draw_missing(self, folder: Path, plan: Sequence[Views]) -> float | None:
        """Seconds per sample; None if there was none to draw. A batch of which one file is missing is drawn whole, for
        the sake of the same rounding."""
        batches = [plan[i : i + self.batch] for i in range(0, len(plan), self.batch)]
        missing = [batch for batch in batches if not all(_drawn(folder, views) for views in batch)]
        to_draw = sum(map(len, missing))
        started = last_line = time.monotonic()
        try:
            with countdown() as bar:
                task = bar.add_task("samples", total=len(plan), completed=len(plan) - to_draw)
                for batch in missing:
                    self._write(folder, batch)
                    bar.advance(task, len(batch))
                    if bar.disable and time.monotonic() - last_line >= LINE_EVERY:
                        last_line = time.monotonic()
                        left = bar.tasks[task].time_remaining or 0.0
                        log.info("%d/%d samples  %.0f s left", bar.tasks[task].completed, len(plan), left)
        except KeyboardInterrupt:
            kept = sum(_drawn(folder, views) for views in plan)
            raise interrupted(folder, f"Interrupted; {kept} of {len(plan)} samples are kept.") from None
        return (time.monotonic() - started) / to_draw if to_draw else None

    def _write(self, folder: Path, batch: Sequence[Views]) -> None:
        for views, images in zip(batch, self.draw(batch), strict=True):
            for one, image in zip(views, images, strict=True):
                write_picture(folder / one.file, to_bytes(image))

    def draw(self, batch: Sequence[Views]) -> Float[Tensor, "s v h w 3"]:
        cameras = self.cameras().to(self.device)
        conditions = join_all([self._embedded(views[0].prompt).at(cameras) for views in batch])
        generators = [step_generator(self.seed, views[0].sample) for views in batch]
        return self.sampler(self.prior, conditions, generators).unflatten(0, (len(batch), self.n_view)).cpu()

    def _embedded(self, prompt: str) -> PromptEmbeddings:
        """Each prompt is read once, together with those that come after it."""
        if prompt not in self._embeddings:
            here = self.prompts.index(prompt)
            near = self.prompts[here : here + READ_TOGETHER]
            found = embed_all([self.prompt_processor(prompt=one) for one in near], self.prior)
            self._embeddings |= zip(near, found, strict=True)
        return self._embeddings[prompt]

    def cameras(self) -> Cameras:
        """Of one sample."""
        return turntable(self.n_view, self.prior.image_size, self.elevation, start=self.azimuth_start, span=self.span)


def read_views(folder: Path, views: Views) -> UInt8[np.ndarray, "v h w 3"]:
    return np.stack([iio.imread(folder / one.file) for one in views])


def _drawn(folder: Path, views: Views) -> bool:
    return all((folder / one.file).exists() for one in views)
