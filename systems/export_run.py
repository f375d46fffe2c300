"""The job of exporting what a run has made: other formats, fewer faces, a larger texture, without optimising again."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Literal

from data.ranges import PositiveInt
from data.samplers import turntable
from guidance.precision import choose_device
from systems.command.run_folder import RunFolder
from systems.export import Exporter
from systems.past_run import open_run
from systems.reports.asset_views import asset_views
from systems.reports.pictures import frames, write_rows
from systems.reports.provenance import provenance, write_whole

log = logging.getLogger(__name__)


class ExportRun:
    """path: the folder of a finished or interrupted text-to-3D run. size, n_views: of views.png, whose cameras stand
    where that run's report has them."""

    def __init__(
        self,
        path: str,
        exporter: Exporter,
        size: PositiveInt = 256,
        n_views: PositiveInt = 8,
        device: Literal["auto", "cpu", "cuda"] = "auto",
    ) -> None:
        self.path, self.exporter = path, exporter
        self.size, self.n_views = size, n_views
        self.device = choose_device(device)

    def run(self, folder: RunFolder, checkpoint: Path | None) -> None:
        past = open_run(self.path).to(self.device)
        asset, work = self.exporter.export(past.scene, folder.path)
        log.info("%d faces written in %.1f s; drawing them ...", len(asset.faces), work["export_seconds"])
        report = past.config.report
        cameras = turntable(self.n_views, self.size, report.elevation, report.fov, distance=report.distance)
        views = asset_views(asset, past.scene, past.renderer, cameras)
        renders = list(frames(past.look, cameras))
        write_rows(folder.path / "views.png", [renders, views.images])
        took = {**work, **provenance(self.device)}
        write_whole(folder.metrics, {"run": self.path, "step": past.step, **views.metrics, **took})
