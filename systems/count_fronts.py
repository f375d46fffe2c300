"""The job of counting the fronts of finished runs again: with another classifier or rule, without making them again."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Literal

from data.errors import UserError
from guidance.precision import choose_device
from systems.command.metrics_file import read_metrics
from systems.command.past_config import STATE
from systems.command.run_folder import RunFolder
from systems.past_run import open_run
from systems.reports.janus import Fronts, janus_of
from systems.reports.progress import countdown
from systems.reports.provenance import provenance, write_whole

log = logging.getLogger(__name__)
FILE = "metrics.json"


class CountFronts:
    """runs: a folder with finished text-to-3D runs in it, at any depth. Of each whose prompt `fronts` can judge,
    `janus`, `janus_front_arcs` and `janus_classifier` in its metrics.json are written anew."""

    def __init__(self, runs: str, fronts: Fronts | None, device: Literal["auto", "cpu", "cuda"] = "auto") -> None:
        if fronts is None:
            raise UserError("metric/fronts=null counts nothing: say metric/fronts=known or metric/fronts=told")
        self.files = [file for file in _files(runs) if (file.parent / STATE).exists()]
        if not self.files:
            raise UserError(f"runs={runs}: no finished text-to-3D run is in there; say outputs/NAME")
        self.runs, self.fronts, self.device = runs, fronts, choose_device(device)

    def run(self, folder: RunFolder, checkpoint: Path | None) -> None:
        changed = judged = 0
        with countdown() as bar:
            for file in bar.track(self.files, description="runs"):
                before = read_metrics(file)
                if found := janus_of(open_run(file.parent, "runs").to(self.device), self.fronts):
                    judged += 1
                    changed += before.get("janus") != found["janus"]
                    write_whole(file, before | found)
        log.info(
            "%d of %d runs counted; %d are Janus now and were not, or the other way", judged, len(self.files), changed
        )
        figures = {"runs": self.runs, "counted": judged, "of": len(self.files), "changed": changed}
        write_whole(folder.metrics, figures | provenance(self.device))


def _files(runs: str) -> list[Path]:
    return sorted(Path(runs).rglob(FILE)) if os.path.isdir(runs) else []  # False also for what no folder can be called
