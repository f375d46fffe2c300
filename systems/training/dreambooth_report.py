"""What a DreamBooth run leaves behind: the prior that has learned the subject, and pictures of before and after."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor
from torch.nn.functional import pad

from data.ranges import NonNegativeInt
from data.samplers import turntable
from guidance.diffusion_prior import DiffusionPrior
from guidance.prompts import PromptProcessor
from guidance.sampling import Sampler
from metrics.clip import Clip
from metrics.features import EfficientNetLite0
from metrics.identity import FeatureEmbedder, ImageEmbedder, identity, likeness
from systems.reports.pictures import to_bytes, write_row
from systems.reports.provenance import provenance, write_whole
from systems.rng import step_generator
from systems.training.dreambooth import DreamBooth
from systems.training.personal_prior import write_prior

log = logging.getLogger(__name__)
VIEWS = 4


class DreamBoothReport(Callback):
    """Writes prior/; views.png: the subject's pictures, and below them for each prompt the samples of the prior before,
    asked for the kind without the subject's name, and after; and metrics.json.

    endings: what the prompts say after "a sks dog". clip: the folder of what measures identity, beside EfficientNet.
    unknown: what to do about words that the prior has not learned. dtype: of prior/.
    """

    def __init__(
        self,
        sampler: Sampler,
        endings: Sequence[str] = ("",),
        suffix: str = ", 3d asset",
        elevation: float = 15.0,
        clip: str | None = "assets/mini_clip",
        dtype: Literal["float32", "bfloat16", "float16"] = "float32",
        unknown: Literal["error", "warn"] = "error",
        cache_dir: str = "~/.cache/fourview/prompts",
        seed: NonNegativeInt = 0,
    ) -> None:
        self.sampler, self.endings, self.suffix, self.elevation = sampler, endings, suffix, elevation
        self.clip, self.dtype, self.unknown, self.cache_dir, self.seed = clip, dtype, unknown, cache_dir, seed

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Also of a fit that had nothing left to do, because the last one was killed before it wrote the folder."""
        assert isinstance(pl_module, DreamBooth)
        folder, before = Path(trainer.default_root_dir), pl_module.prior
        write_prior(before, pl_module.learner.to(before.device), folder / "prior", getattr(torch, self.dtype))
        log.info("written: %s; drawing what it has learned ...", folder / "prior")
        after = DiffusionPrior(
            str(folder / "prior"), before.n_view, device=str(before.device), image_size=before.image_size
        )
        rows, then, now = [pl_module.pictures.before_grey], [], []
        for ending in self.endings:
            then.append(self._sample(before, f"a {pl_module.kind}{ending}"))
            now.append(self._sample(after, pl_module.subject + ending))
            rows += [then[-1], now[-1]]
        write_row(folder / "views.png", [to_bytes(_grid(rows))])
        figures = self._figures(torch.cat(then), torch.cat(now), pl_module.pictures.before_grey)
        took = provenance(before.device)
        write_whole(folder / "metrics.json", {"steps": trainer.global_step, "prior": "prior", **figures, **took})

    def _sample(self, prior: DiffusionPrior, prompt: str) -> Float[Tensor, "v h w 3"]:
        cameras = turntable(max(prior.n_view, VIEWS), prior.image_size, self.elevation)
        asked = PromptProcessor(prompt, suffix=self.suffix, unknown=self.unknown, cache_dir=self.cache_dir)
        embeddings = asked(prior)
        return self.sampler(prior, embeddings.at(cameras.to(prior.device)), step_generator(self.seed, 0)).cpu()

    def _figures(
        self, before: Float[Tensor, "b h w 3"], after: Float[Tensor, "b h w 3"], pictures: Float[Tensor, "n h w 3"]
    ) -> dict[str, float]:
        """Identity of the samples, and of the pictures among themselves: what a perfect subject would score."""
        embedders: list[ImageEmbedder] = [FeatureEmbedder(EfficientNetLite0())]
        embedders += [Clip(self.clip)] if self.clip else []
        figures = {}
        for one in embedders:
            for when, images in (("before", before), ("after", after)):
                figures[f"identity_{when}_{one.name}"] = round(identity(images, pictures, one).mean().item(), 4)
            figures[f"identity_pictures_{one.name}"] = round(likeness(pictures, one), 4)
        return figures


def _grid(rows: list[Float[Tensor, "_ h w 3"]]) -> Float[Tensor, "y x 3"]:
    """Shorter rows are filled up with white."""
    longest = max(len(row) for row in rows)
    full = [pad(row, (0, 0) * 3 + (0, longest - len(row)), value=1.0) for row in rows]
    return torch.cat([torch.cat(list(row), dim=1) for row in full])
