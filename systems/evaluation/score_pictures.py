"""The job of scoring pictures as a set: against a reference, against their captions, against the true toys."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import UInt8
from torch import Tensor

from data.errors import UserError
from data.ranges import PositiveInt, Seed
from data.toybox.captions import caption
from data.toybox.grammar import KINDS, Toy
from data.toybox.held_out_captions import held_out_captions
from data.whole_file import write_text
from metrics.clip_score import score
from metrics.distribution import compare, inception_score
from metrics.features import FeatureNetwork
from metrics.ground_truth import compare as compare_with_truth
from metrics.intervals import mean_interval
from metrics.text_image import TextImageModel
from metrics.toybox_truth import silhouette_on_grey, toy_of, true_views
from systems.command.prompt_list import prompt_list
from systems.command.run_folder import RunFolder
from systems.evaluation.picture_sources import Drawn, PictureSource
from systems.evaluation.score_report import SHEET, report_scores
from systems.evaluation.seen_pictures import see_all, see_once
from systems.reports.pictures import to_bytes, write_row
from systems.reports.provenance import provenance, write_whole
from systems.reports.wandb_log import WandbLog
from systems.rng import step_generator

log = logging.getLogger(__name__)
SHEET_ROWS = 12
Scores = dict[str, float]


class ScorePictures:
    """source: of the pictures; reference: of those that they are compared with, null: of nothing.
    features: the network between whose features FID and KID are distances; clip: null, no score of the captions.
    file: of captions, one a line; null: `n_captions` sentences about held-out toys of the first `n_kinds` kinds, drawn
    with `caption_seed`.
    """

    def __init__(
        self,
        source: PictureSource,
        features: Callable[[], FeatureNetwork],
        reference: PictureSource | None = None,
        clip: Callable[[], TextImageModel] | None = None,
        file: str | None = None,
        n_captions: PositiveInt = 1000,
        n_kinds: PositiveInt = 32,
        caption_seed: Seed = 0,
        cache_dir: str = "~/.cache/fourview/features",
        logger: WandbLog | Literal[False] = False,
    ) -> None:
        self.source, self.reference = source, reference
        self.features, self.clip = features(), clip() if clip else None
        self.captions = (
            prompt_list(None, None, file)
            if file
            else held_out_captions(n_captions, step_generator(caption_seed, 0), list(KINDS)[:n_kinds])
        )
        self.cache_dir, self.logger = Path(cache_dir).expanduser(), logger

    def run(self, folder: RunFolder, checkpoint: Path | None) -> None:
        write_text(folder.path / "captions.txt", "\n".join(self.captions) + "\n")
        reference = self.reference.draw(self.captions, folder, checkpoint) if self.reference else None
        meant = [caption(toy) if (toy := toy_of(text)) else text for text in self.captions]
        if self.clip:
            self.clip.embed_texts(meant)  # what is wrong with them is told before hours of sampling
        drawn = self.source.draw(self.captions, folder, checkpoint)
        scores = self.as_a_set(drawn, reference) | self.by_caption(drawn.images, meant)
        truth = truth_of(self.captions, drawn)
        write_sheet(folder.path / SHEET, self.captions, drawn)
        about = {"captions": len(self.captions), "views": drawn.images.shape[1], **drawn.facts}
        metrics = {**scores, **truth, **about, **provenance(torch.device("cpu"))}
        row, summary = folder.path.name, f"{len(self.captions)} captions"
        report_scores(folder.path, row, summary, {row: scores | truth}, {row: folder.path}, metrics, self.logger)
        write_whole(folder.metrics, metrics)

    def as_a_set(self, drawn: Drawn, reference: Drawn | None) -> Scores:
        if reference is None:
            found = inception_score(see_all(self.features, drawn.images))
            return found.named(f"inception_score_{self.features.name}")
        if reference.images.shape[2:4] != drawn.images.shape[2:4]:
            sizes = [f"{one.images.shape[2]} x {one.images.shape[3]}" for one in (reference, drawn)]
            raise UserError(f"metric.reference.size: its pictures have {sizes[0]} pixels, the others {sizes[1]}")
        seen = see_once(self.features, reference.images, self.cache_dir)
        log.info("Comparing with %d objects ...", len(seen))
        both = drawn.captioned and reference.captioned
        return compare(see_all(self.features, drawn.images), seen, both).named() | {"reference": len(seen)}

    def by_caption(self, images: UInt8[Tensor, "o v h w 3"], meant: Sequence[str]) -> Scores:
        """meant: of a toy its plain caption, since R-precision shall tell toys apart, not wordings of one."""
        if self.clip is None:
            return {}
        views, candidates = images.shape[1], list(dict.fromkeys(meant))
        said = [text for text in meant for _ in range(views)]
        found = score(self.clip, images.flatten(0, 1).float() / 255, said, candidates)
        return {
            **mean_named(f"clip_score_{found.model}", by_object(found.clip_score, views)),
            **mean_named(f"r_precision_{found.n_candidates}_{found.model}", by_object(found.retrieved.float(), views)),
        }


def by_object(values: Tensor, views: int) -> Tensor:
    """The mean over the views of each object: one object is one experiment."""
    return values.cpu().unflatten(0, (-1, views)).mean(dim=1)


def mean_named(name: str, values: Tensor) -> Scores:
    interval = mean_interval(values)
    return {name: values.mean().item(), f"{name}_low": interval.low, f"{name}_high": interval.high}


def truth_of(captions: Sequence[str], drawn: Drawn) -> Scores:
    """Silhouette IoU and PSNR against the true toys, whose shapes are not varied; empty unless all are toys."""
    toys = [toy_of(text) for text in captions]
    if drawn.cameras is None or any(toy is None for toy in toys):
        return {}
    known: dict[Toy, tuple[Tensor, Tensor]] = {}
    found = []
    for toy, images in zip(toys, drawn.images, strict=True):
        assert toy is not None
        if toy not in known:
            known[toy] = true_views(toy, drawn.cameras)
        views = images.float() / 255
        found.append(compare_with_truth(views, silhouette_on_grey(views), *known[toy]))
    return {
        **mean_named("truth_iou", torch.tensor([one.silhouette_iou for one in found])),
        **mean_named("truth_psnr", torch.tensor([one.psnr for one in found])),
    }


def write_sheet(path: Path, captions: Sequence[str], drawn: Drawn) -> None:
    """A row for each of the first captions: the pictures, then, of a toy, the truth."""
    rows = []
    for text, images in zip(captions[:SHEET_ROWS], drawn.images, strict=False):
        toy, row = toy_of(text), torch.cat(list(images.float() / 255), dim=1)
        if drawn.cameras is not None:
            truth = true_views(toy, drawn.cameras)[0] if toy else torch.full_like(images.float(), 0.5)
            row = torch.cat([row, *truth], dim=1)
        rows.append(row)
    write_row(path, [to_bytes(torch.cat(rows))])
