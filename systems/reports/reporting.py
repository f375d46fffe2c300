"""What a text-to-3D run leaves behind to look at: images on the way; views, turntable, mesh and page at the end."""

from __future__ import annotations

import csv
import logging
from pathlib import Path

import numpy as np
from pytorch_lightning import Callback, LightningModule, Trainer

from data.cameras import Cameras
from data.errors import UserError
from data.ranges import PositiveFloat, PositiveInt
from data.samplers import turntable
from models.asset import Asset
from models.triangles import EmptySurfaceError
from systems.export import Exporter
from systems.reports.asset_views import asset_views
from systems.reports.judges import Judges
from systems.reports.page import write_page
from systems.reports.pictures import cut_outs, frames, write_row, write_rows, write_video
from systems.reports.progress import Progress
from systems.reports.provenance import provenance, write_whole
from systems.reports.truth import against_truth
from systems.reports.wandb_log import send_picture
from systems.schedules import last_progress
from systems.text_to_3d import TextTo3D

log = logging.getLogger(__name__)


class Report(Callback):
    """every: steps between rows of four images in images/.
    size: pixels of a frame of the turntable; views.png shows n_views of its n_frames, and the mesh below them.
    elevation, fov, distance: of the cameras that go around; degrees. distance null: as far as the embedded priors'
    training pictures were taken. The ground truth is compared from cameras of its own, so that figures compare.
    judges: say what the scene is worth, at these steps and at the end.
    transparent: also writes transparent.png, the renders of views.png without their background.
    """

    def __init__(
        self,
        exporter: Exporter,
        every: PositiveInt = 100,
        size: PositiveInt = 256,
        n_frames: PositiveInt = 40,
        n_views: PositiveInt = 8,
        fps: PositiveInt = 20,
        elevation: float = 15.0,
        fov: PositiveFloat = 40.0,
        distance: PositiveFloat | None = None,
        transparent: bool = False,
        judges: Judges | None = None,
    ) -> None:
        if n_frames % n_views:
            raise UserError(f"report.n_frames={n_frames} must be a multiple of report.n_views={n_views}")
        self.exporter = exporter
        self.every, self.size, self.n_frames, self.n_views = every, size, n_frames, n_views
        self.fps = fps
        self.elevation, self.fov, self.distance = elevation, fov, distance
        self.transparent = transparent
        self.judges = judges or Judges()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        if trainer.is_global_zero and trainer.global_step % self.every == 0:
            assert isinstance(pl_module, TextTo3D)
            path = Path(trainer.default_root_dir) / "images" / f"{trainer.global_step:06d}.png"
            images = list(frames(pl_module.look, self._around(4, self.size // 2)))
            write_row(path, images)
            send_picture(trainer.loggers, "images", path, trainer.global_step - 1)
            if trainer.global_step < pl_module.max_steps:  # then they are asked at the end
                self._tell(trainer, pl_module, self.judges.on_the_way(pl_module, images))

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """metrics.json comes last: its presence says that the run is finished. A scene without a surface has failed,
        which the rest of the report helps to understand. Other processes have nothing more to do."""
        if not trainer.is_global_zero:
            return
        assert isinstance(pl_module, TextTo3D)
        pl_module.to(trainer.strategy.root_device)  # from where Lightning has taken it after the last step
        # Where only the report is left to do, no step of this process has applied them
        pl_module.schedules.apply(last_progress(trainer.global_step, pl_module.max_steps))
        folder = Path(trainer.default_root_dir)
        log.info("Drawing the turntable and the mesh ...")
        images = list(frames(pl_module.look, self._around(self.n_frames, self.size)))
        write_video(folder / "turntable.mp4", images, self.fps)
        rows, empty, asset = [images[:: self.n_frames // self.n_views]], None, None
        quality: dict[str, str | float] = {}
        try:
            asset, row, quality = self._export(pl_module, folder)
            rows.append(row)
        except EmptySurfaceError as error:
            empty = error
        write_rows(folder / "views.png", rows)
        if self.transparent:
            views, background = self._around(self.n_views, self.size), pl_module.scene.background
            write_row(folder / "transparent.png", list(cut_outs(pl_module.look, background, views)))
        judged = against_truth(pl_module) | self.judges.at_the_end(pl_module, images)
        metrics = self._metrics(trainer) | judged | quality
        write_page(folder, metrics, asset)
        write_whole(folder / "metrics.json", metrics)
        if empty:
            again = f"experiment=export run={folder} export.threshold=VALUE looks for another surface in this run"
            raise EmptySurfaceError(f"there is no mesh in {folder}: {empty}; {again}")

    def _tell(self, trainer: Trainer, system: TextTo3D, scores: dict[str, float]) -> None:
        """For metrics.csv, and at once for W&B, to which Lightning would send them at multiples of its own."""
        system.log_dict(scores, logger=False)
        for logger in trainer.loggers:
            logger.log_metrics(scores, trainer.global_step - 1)

    def _around(self, n: int, size: int) -> Cameras:
        return turntable(n, size, self.elevation, self.fov, distance=self.distance)

    def _export(self, system: TextTo3D, folder: Path) -> tuple[Asset, list[np.ndarray], dict[str, str | float]]:
        asset, work = self.exporter.export(system.scene, folder)
        views = asset_views(asset, system.scene, system.renderer, self._around(self.n_views, self.size))
        return asset, views.images, {**views.metrics, **work}

    def _metrics(self, trainer: Trainer) -> dict[str, str | int | float]:
        callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # Lightning sets it elsewhere
        progress = next(callback for callback in callbacks if isinstance(callback, Progress))
        with (Path(trainer.default_root_dir) / "metrics.csv").open() as table:
            rows = list(csv.DictReader(table))  # also there when this process only writes the report
        last = rows[-1] if rows else {}
        losses = {name: float(value) for name, value in last.items() if value and name not in ("step", "seconds")}
        took = provenance(trainer.strategy.root_device) | {"seconds": round(progress.seconds, 1)}
        return {"steps": trainer.global_step, "processes": trainer.world_size, **took, **losses}
