"""Where pictures that are scored as a set come from: a prior, the toybox, or a folder. One object for each caption."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import UInt8
from rich.progress import track
from torch import Tensor

from data.cameras import Cameras
from data.errors import UserError
from data.pictures import CaptionedPictures
from data.ranges import NonNegativeFloat, PositiveInt, Seed
from data.samplers import turntable
from data.toybox.body import draw_style
from data.toybox.grammar import build
from data.toybox.raycast import render
from guidance.prior import StoredPrior
from guidance.prompts import PromptProcessor
from guidance.sampling import Sampler
from metrics.toybox_truth import toy_of
from systems.command.run_folder import RunFolder
from systems.rng import step_generator
from systems.sample import Sample, read_views


@dataclass(frozen=True)
class Drawn:
    """Of o objects in v views each. cameras: of one object; None: nobody knows. facts: for metrics.json.
    captioned: object i is of caption i.
    """

    images: UInt8[Tensor, "o v h w 3"]
    cameras: Cameras | None = None
    facts: Mapping[str, str | int | float | None] = field(default_factory=dict)
    captioned: bool = True


@runtime_checkable
class PictureSource(Protocol):
    def draw(self, captions: Sequence[str], folder: RunFolder, checkpoint: Path | None) -> Drawn:
        """folder, checkpoint: of the run that asks; who needs hours may leave in it what can be continued."""
        ...


class FromPrior:
    """Samples, one for each caption; each is a file of the run folder, and none is drawn twice."""

    def __init__(
        self,
        prior: StoredPrior,
        sampler: Sampler,
        prompt_processor: Callable[..., PromptProcessor],
        n_view: PositiveInt = 4,
        elevation: float = 15.0,
        seed: Seed = 0,
        batch: PositiveInt = 1,
    ) -> None:
        self.prior, self.sampler, self.prompt_processor = prior, sampler, prompt_processor
        self.n_view, self.elevation, self.seed, self.batch = n_view, elevation, seed, batch

    def draw(self, captions: Sequence[str], folder: RunFolder, checkpoint: Path | None) -> Drawn:
        sample = Sample(
            self.prior,
            self.sampler,
            self.prompt_processor,
            prompts=captions,
            n_samples=1,
            n_view=self.n_view,
            elevation=self.elevation,
            seed=self.seed,
            batch=self.batch,
            all_differ=True,
        )
        plan, seconds = sample.draw_into(folder, checkpoint)
        images = torch.stack([torch.from_numpy(read_views(folder.path, views)) for views in plan])
        return Drawn(images, sample.cameras(), sample.facts(len(plan), seconds))


class FromToybox:
    """The toys that the captions mean, shaped as randomly as those of training: what a perfect prior would draw."""

    def __init__(
        self,
        size: PositiveInt = 64,
        n_view: PositiveInt = 4,
        elevation: float = 15.0,
        variation: NonNegativeFloat = 0.06,
        seed: Seed = 0,
    ) -> None:
        self.size, self.n_view, self.elevation, self.variation, self.seed = size, n_view, elevation, variation, seed

    def draw(self, captions: Sequence[str], folder: RunFolder, checkpoint: Path | None) -> Drawn:
        cameras = turntable(self.n_view, self.size, self.elevation)
        images = []
        for i, caption in enumerate(track(captions, description="Rendering toys", transient=True)):
            style = draw_style(step_generator(self.seed, i), self.variation)
            if (toy := toy_of(caption)) is None:
                raise UserError(
                    f'"{caption}" is no toy, of which a true picture is known: say job.reference=null, which gives no'
                    " FID, or metric/reference=folder metric.reference.path=FOLDER"
                )
            views = render(build(toy, style), cameras)[..., :3]
            images.append((views * 255).round().byte())
        return Drawn(torch.stack(images), cameras, {"images": len(captions) * self.n_view})


class FromFolder:
    """Captioned pictures, each of an object of its own, as many as there are captions or, if there are less, all; their
    captions do not matter. For a reference of one's own.

    path: what data/pictures.py reads. seed: of the choice; files that are neighbours are often alike.
    """

    def __init__(self, path: str, size: PositiveInt = 256, seed: Seed = 0) -> None:
        self.pictures, self.seed = CaptionedPictures(path, size, "metric.reference.path"), seed

    def draw(self, captions: Sequence[str], folder: RunFolder, checkpoint: Path | None) -> Drawn:
        order = torch.randperm(len(self.pictures), generator=step_generator(self.seed, 0))
        chosen = order[: len(captions)].sort().values.tolist()
        if len(chosen) < 3:
            raise UserError(
                f"metric.reference.path={self.pictures.path} holds {len(chosen)} pictures; a set has 3 or more"
            )
        return Drawn(torch.stack([self.pictures.image(i) for i in chosen])[:, None], captioned=False)
