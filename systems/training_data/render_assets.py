"""The job of rendering a folder of 3D files: captioned pictures from known cameras, as training data for priors."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

from data.captioned_assets import list_assets
from data.errors import FailedError, UserError
from data.ranges import NonNegativeInt, PositiveInt, Seed
from data.reading import read_json
from data.shard_views import over
from data.shards import Shards
from data.toybox.raycast import BACKGROUND
from renderers.studio import Studio
from systems.command.run_folder import RunFolder, interrupted
from systems.reports.pictures import to_bytes, write_row
from systems.reports.progress import countdown
from systems.reports.provenance import provenance, write_whole
from systems.training_data.asset_shards import Failure, Shard, fill, plan_shards, write_failures

log = logging.getLogger(__name__)
LINE_EVERY = 10.0  # seconds, where there is no terminal for a bar
ON_SHEET, ABREAST, VIEWS = 96, 4, 4  # objects, objects in a row, views of each


class RenderAssets:
    """assets: a folder of GLB, glTF, OBJ, PLY or STL files. captions: see data/captioned_assets.py.

    Each shard is written when it is complete, and kept by a continuation; what cannot be rendered is in failed.jsonl.
    workers: processes that render; 0: this one.
    """

    def __init__(
        self,
        assets: str,
        studio: Studio,
        captions: str | None = None,
        per_shard: PositiveInt = 128,
        workers: NonNegativeInt = 0,
        seed: Seed = 0,
    ) -> None:
        self.folder = Path(assets)
        if not os.path.isdir(assets):  # False also for a name that no folder can have
            raise UserError(f"assets={assets}: there is no such folder; say one with GLB, OBJ or PLY files")
        self.assets = list_assets(self.folder, captions, "job.captions")
        if not self.assets:
            raise UserError(f"assets={assets} holds no 3D file: say a folder with GLB, glTF, OBJ, PLY or STL files")
        self.studio, self.per_shard, self.workers, self.seed = studio, per_shard, workers, seed

    def run(self, folder: RunFolder, checkpoint: Path | None) -> None:
        self._remember(folder.checkpoint, checkpoint)
        shards = plan_shards(folder.path / "shards", self.assets, self.per_shard)
        rate = self._fill(folder.path, shards)
        failed = [failure for shard in shards for failure in shard.read_failures()]
        write_failures(folder.path / "failed.jsonl", failed)
        for failure in failed[:10]:
            log.warning("%s: %s", failure.file, failure.reason)
        if len(failed) == len(self.assets):
            raise FailedError(f"assets={self.folder}: nothing could be rendered; {folder.path}/failed.jsonl says why")
        left_out = {failure.file for failure in failed}
        done = dict(Counter(asset.split for asset in self.assets if asset.file not in left_out))
        write_row(folder.path / "sheet.png", [sheet(folder.path, list(done))])
        metrics = {
            "objects": done,
            "failed": len(failed),
            "shards": len(shards),
            "n_view": self.studio.n_view,
            "objects_per_second": rate,
            "workers": self.workers,
            **provenance(torch.device("cpu")),
        }
        write_whole(folder.metrics, metrics)

    def _remember(self, manifest: Path, checkpoint: Path | None) -> None:
        """A continuation renders the same: UserError, if the folder holds other files by now."""
        if checkpoint is not None and checkpoint.resolve() != manifest.resolve():
            raise UserError(f"resume={checkpoint}: shards are continued where they lie; say resume=auto")
        plan = {"assets": [{**asdict(asset), "bytes": _bytes(self.folder / asset.file)} for asset in self.assets]}
        if checkpoint is not None and _planned(checkpoint) != plan:
            raise UserError(
                f"assets={self.folder} holds other files or captions than when {checkpoint.parent} was begun: say"
                " resume=never to render them all anew, or name=another to keep both"
            )
        write_whole(manifest, plan)

    def _fill(self, folder: Path, shards: Sequence[Shard]) -> float | None:
        """Objects per second; None if there was nothing left to do."""
        todo = [shard for shard in shards if not shard.path.exists()]
        kept, count = len(self.assets), sum(len(shard.assets) for shard in todo)
        kept -= count
        started = last_line = time.monotonic()
        try:
            with countdown() as bar:
                task = bar.add_task("objects", total=len(self.assets), completed=kept)
                for _, result in fill(todo, self.studio, self.folder, self.seed, self.workers):
                    bar.advance(task)
                    if isinstance(result, Failure):
                        log.debug("%s: %s", result.file, result.reason)
                    if bar.disable and time.monotonic() - last_line >= LINE_EVERY:
                        last_line = time.monotonic()
                        left = bar.tasks[task].time_remaining or 0.0
                        log.info("%d/%d objects  %.0f s left", bar.tasks[task].completed, len(self.assets), left)
        except KeyboardInterrupt:
            finished = sum(shard.path.exists() for shard in shards)
            raise interrupted(folder, f"Interrupted; {finished} of {len(shards)} shards are kept.") from None
        return count / (time.monotonic() - started) if count else None


def _planned(manifest: Path) -> dict:
    try:
        return read_json(manifest)
    except (OSError, ValueError) as error:
        raise UserError(f"{manifest} cannot be read (it {error}): say resume=never, or name=another") from None


def _bytes(file: Path) -> int | None:
    return file.stat().st_size if os.path.isfile(file) else None  # False also for a name that no file can have


def sheet(folder: Path, splits: Sequence[str]) -> UInt8[np.ndarray, "h w 3"]:
    """The first views of objects from the whole list, on grey."""
    there = [(shards, i) for split in splits for shards in [Shards(str(folder), split)] for i in range(len(shards))]
    count = min(ON_SHEET, len(there))
    chosen = [there[i * len(there) // count] for i in range(count)]
    cells = []
    for shards, index in chosen:
        views = min(VIEWS, shards.n_views(index))
        images = over(shards.see(index, range(views)).images.float() / 255, torch.full((views, 3), BACKGROUND))
        cells.append(torch.cat(list(images), dim=1))
    cells += [torch.full_like(cells[0], BACKGROUND)] * (-len(cells) % ABREAST)
    rows = [torch.cat(cells[i : i + ABREAST], dim=1) for i in range(0, len(cells), ABREAST)]
    return to_bytes(torch.cat(rows))
