"""The job of putting the scores of several sets of pictures side by side: a row for each, made where it is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import torch

from data.errors import FailedError
from data.ranges import Seed
from systems.command.asked_runs import handed_on, named, told_to
from systems.command.metrics_file import read_metrics
from systems.command.run_folder import RunFolder
from systems.evaluation.score_report import report_scores
from systems.evaluation.sweep import Batch, make_missing
from systems.reports.provenance import provenance, write_whole
from systems.reports.wandb_log import WandbLog


class ScoreTable:
    """rows: by name, the overrides of a run that scores pictures; common: those that all have; said: those of this
    command, of which the runs are told what is not about the table, nor one of its own_keys. output, name: the runs
    stand in <output>/<name>/<row>/, and those that are finished there are not made again. seed: of all rows.
    make: `nothing`, and only the table is made, of what is there.
    """

    def __init__(
        self,
        rows: Mapping[str, Sequence[str]],
        output: str,
        name: str,
        common: Sequence[str] = (),
        said: Sequence[str] = (),
        own_keys: Sequence[str] = (),
        seed: Seed = 0,
        make: Literal["missing", "nothing"] = "missing",
        logger: WandbLog | Literal[False] = False,
    ) -> None:
        self.rows, self.common, self.make, self.logger = rows, common, make, logger
        self.handed = handed_on(said, own_keys)
        self.output, self.name, self.seed = output, name, seed
        self.folders = {row: RunFolder(output, f"{name}/{row}", row, seed) for row in rows}

    def run(self, folder: RunFolder, checkpoint: Path | None) -> None:
        if self.make == "missing":
            make_missing([self.batch(row) for row in self.rows], folder)
        found = {row: made.path for row, made in self.folders.items() if made.metrics.exists()}
        if not found:
            raise FailedError(f"there is no finished run in {self.output}/{self.name}: the logs there say why")
        scores = {row: read_metrics(place / "metrics.json") for row, place in found.items()}
        summary = f"{len(found)} of {len(self.rows)} rows are there"
        metrics = {"rows": len(found), "of": len(self.rows), **provenance(torch.device("cpu"))}
        report_scores(folder.path, self.name, summary, scores, found, metrics, self.logger)
        if len(found) == len(self.rows):  # else the table can be made again, with what will be there then
            write_whole(folder.metrics, metrics)

    def batch(self, row: str) -> Batch:
        told = told_to(row, self.rows[row], self.common, self.handed, self.output, self.name)
        waiting = lambda: int(not self.folders[row].metrics.exists())
        log_file = Path(self.output, self.name, f"{row}.log")
        return Batch(row, [*named(row, self.seed), *told], waiting, log_file)
