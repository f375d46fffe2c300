"""What keeps a prior from forgetting everything else while it learns a subject."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from data.pictures import read_picture
from data.ranges import NonNegativeFloat, NonNegativeInt, PositiveInt
from guidance.diffusion_prior import DiffusionPrior
from guidance.learner import Learner
from guidance.preservation import distance
from guidance.prior import Condition, Conditions
from guidance.sampling import Sampler
from systems.reports.pictures import to_bytes, write_picture
from systems.rng import step_generator

TOGETHER = 4  # pictures sampled at once


@runtime_checkable
class Preservation(Protocol):
    def remember(self, learner: Learner) -> None:
        """Called once, before the first step of a run, also of one that then continues."""
        ...

    def prepare(self, prior: DiffusionPrior, folder: Path) -> None:
        """Makes what the steps need, and keeps it in the folder of the run."""
        ...

    def __call__(self, learner: Learner, rng: torch.Generator) -> Float[Tensor, ""]:
        """A term of the loss."""
        ...


class Nothing:
    """The prior may forget what it will."""

    def remember(self, learner: Learner) -> None: ...

    def prepare(self, prior: DiffusionPrior, folder: Path) -> None: ...

    def __call__(self, learner: Learner, rng: torch.Generator) -> Float[Tensor, ""]:
        return torch.zeros((), device=learner.alphas_cumprod.device)


class Parameters:
    """weight |theta - theta_0|_1 / N, see guidance/preservation.py."""

    def __init__(self, weight: NonNegativeFloat = 1.0) -> None:
        self.weight = weight
        self._start: list[Tensor] = []

    def remember(self, learner: Learner) -> None:
        self._start = [weight.detach().clone() for weight in learner.weights()]

    def prepare(self, prior: DiffusionPrior, folder: Path) -> None: ...

    def __call__(self, learner: Learner, rng: torch.Generator) -> Float[Tensor, ""]:
        if not self._start:  # only the word learns, which nothing holds
            return torch.zeros((), device=learner.alphas_cumprod.device)
        return self.weight * distance(learner.weights(), self._start)


class ClassPrior:
    """weight times the denoising loss of pictures that the prior itself has made of others of the subject's kind, as
    many in a step as of the subject (Ruiz et al. 2023, DreamBooth, equation 2). They are in class/ of the run.

    sentences: what those are said to show, one after the other. scale: of classifier-free guidance, the sampler's.
    """

    def __init__(
        self,
        sentences: Sequence[str],
        sampler: Sampler,
        weight: NonNegativeFloat = 1.0,
        n_pictures: PositiveInt = 32,
        batch_size: PositiveInt = 4,
        seed: NonNegativeInt = 0,
    ) -> None:
        self.sentences, self.sampler, self.weight = list(sentences), sampler, weight
        self.n_pictures, self.batch_size, self.seed = n_pictures, batch_size, seed

    def remember(self, learner: Learner) -> None: ...

    def prepare(self, prior: DiffusionPrior, folder: Path) -> None:
        files = [folder / "class" / f"{i:04d}.png" for i in range(self.n_pictures)]
        n_view = prior.n_view
        prior.attend(1)
        try:
            for start in range(0, self.n_pictures, TOGETHER):
                self._draw(prior, files[start : start + TOGETHER], start)
        finally:
            prior.attend(n_view)
        images = torch.stack([read_picture(file, prior.image_size) for file in files]).float() / 255
        with torch.no_grad():
            self._latents = torch.cat([prior.encode(few.to(prior.device)) for few in images.split(TOGETHER)])

    def _draw(self, prior: DiffusionPrior, files: list[Path], start: int) -> None:
        """Those that are not there; together, for the sake of the same rounding."""
        if all(file.exists() for file in files):
            return
        text = prior.encode_text([*self._said(range(start, start + len(files))), ""])
        said, nothing = Condition(text[:-1], None), Condition(text[-1:].expand(len(files), -1, -1), None)
        generators = [step_generator(self.seed, -1 - start - i) for i in range(len(files))]  # not those of the steps
        for file, image in zip(files, self.sampler(prior, Conditions(said, nothing), generators), strict=True):
            write_picture(file, to_bytes(image))

    def __call__(self, learner: Learner, rng: torch.Generator) -> Float[Tensor, ""]:
        chosen = torch.randint(self.n_pictures, (self.batch_size,), generator=rng, device=rng.device)
        latents = self._latents[chosen.to(self._latents.device)]
        return self.weight * learner.loss(latents, self._said(chosen.tolist()), rng)

    def _said(self, numbers: Iterable[int]) -> list[str]:
        return [self.sentences[number % len(self.sentences)] for number in numbers]
