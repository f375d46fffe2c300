"""The job of comparing ways to make 3D objects: prompts x seeds x settings, one table."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from data.errors import FailedError, UserError
from data.ranges import Seed
from systems.command.asked_runs import handed_on, told_to
from systems.command.metrics_file import damaged
from systems.command.overrides import quoted
from systems.command.prompt_list import prompt_list
from systems.command.run_folder import RunFolder
from systems.evaluation.sweep import Batch, make_missing
from systems.reports.gallery import N_VIEWS, SIZE, Shown, row_of, true_row, write_gallery
from systems.reports.pictures import write_rows
from systems.reports.provenance import provenance, write_whole
from systems.reports.tables import Table, Values, caption, read_figures, summary_of, write_runs
from systems.reports.wandb_log import WandbLog

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    setting: str
    prompt: str
    seed: int
    folder: Path

    @property
    def is_finished(self) -> bool:
        return (self.folder / "metrics.json").exists()

    def metrics(self) -> Values:
        file = self.folder / "metrics.json"
        try:
            return read_figures(file)
        except (ValueError, OSError) as error:
            raise damaged(file, error) from None


class Evaluate:
    """settings: by name, the overrides that make it; common: those that all have; said: those of this command, of which
    the runs are told what is not about the table. output, name: the runs stand in <output>/<name>/<setting>/; those
    that are finished there are not made again. default_file: of prompts, if no others are given.
    shard: `1/4` makes the second of four shares of the prompts; empty: all. The table is of all that is there.
    make: `nothing`, and only the table is made. measures: of metrics.json, in the order of the columns.
    """

    def __init__(
        self,
        settings: Mapping[str, Sequence[str]],
        output: str,
        name: str,
        measures: Sequence[str],
        common: Sequence[str] = (),
        said: Sequence[str] = (),
        prompt: str | None = None,
        prompts: Sequence[str] | None = None,
        file: str | None = None,
        default_file: str | None = None,
        seeds: Sequence[Seed] = (0, 1, 2),
        shard: str = "",
        make: Literal["missing", "nothing"] = "missing",
        logger: WandbLog | Literal[False] = False,
    ) -> None:
        if not settings or not seeds:
            raise UserError("job.settings and job.seeds: name at least one of each")
        self.settings, self.common, self.measures = settings, common, measures
        self.output, self.name, self.seeds = output, name, seeds
        self.handed, self.prompts = handed_on(said), prompt_list(prompt, prompts, file, default_file)
        self.own, self.part = share(self.prompts, shard), shard and "-" + shard.replace("/", "-")
        self.make, self.logger = make, logger
        made = lambda s, prompt, seed: RunFolder(output, f"{name}/{s}", prompt, seed).path
        self.runs = [Run(s, p, n, made(s, p, n)) for p in self.prompts for n in seeds for s in settings]

    def run(self, folder: RunFolder, checkpoint: Path | None) -> None:
        if self.make == "missing":
            make_missing([self.batch(setting) for setting in self.settings], folder)
        finished = [run for run in self.runs if run.is_finished]
        if not finished:
            raise FailedError(f"there is no finished run in {self.output}/{self.name}: the logs there say why")
        self.report(folder, {run: run.metrics() for run in finished})

    def batch(self, setting: str) -> Batch:
        """The runs of this shard, as one sweep, which skips what is finished."""
        own = [run for run in self.runs if run.setting == setting and run.prompt in self.own]
        missing = [run for run in own if not run.is_finished]
        said = list(dict.fromkeys(quoted(run.prompt) for run in missing))
        seeds = sorted({run.seed for run in missing})
        words = ["--multirun", f"prompt={','.join(said)}", f"seed={','.join(map(str, seeds))}"]
        told = told_to(setting, self.settings[setting], self.common, self.handed, self.output, self.name)
        waiting = lambda: sum(not run.is_finished for run in own)
        log_file = Path(self.output, self.name, f"{setting}{self.part}.log")
        return Batch(setting, [*words, *told], waiting, log_file)

    def report(self, folder: RunFolder, found: Mapping[Run, Values]) -> None:
        summary = f"{len(found)} of {len(self.runs)} runs are finished"
        table = self.table(found)
        log.info("%s\n\n%s", summary, table.markdown())
        table.write(folder.path)
        write_runs(folder.path / "runs.csv", [self.row(run, values) for run, values in found.items()])
        rows = {
            f"{prompt}, seed {seed}": [self.shown(prompt, seed, one, found) for one in ("truth", *self.settings)]
            for prompt in self.prompts
            for seed in self.seeds
        }
        write_gallery(folder.path, self.name, summary, table, ("truth", *self.settings), rows)
        blank = np.full((SIZE, N_VIEWS * SIZE, 3), 255, np.uint8)
        first = [row for name, row in rows.items() if name.endswith(f", seed {self.seeds[0]}")]
        write_rows(folder.path / "sheet.png", [[one.picture if one else blank for one in row] for row in first])
        counted = {"runs": len(found), "of": len(self.runs), "settings": table.numbers()}
        metrics = counted | provenance(torch.device("cpu"))
        if self.logger:
            self.logger.show_table("settings", table, metrics, {"sheet": folder.path / "sheet.png"})
        if len(found) == len(self.runs):  # else the table can be made again, with what will be there then
            write_whole(folder.metrics, metrics)

    def table(self, found: Mapping[Run, Values]) -> Table:
        own = lambda setting: [values for run, values in found.items() if run.setting == setting]
        rows = {setting: summary_of(own(setting), self.measures) for setting in self.settings}
        return Table(("runs", *self.measures), rows, "setting")

    def row(self, run: Run, values: Values) -> Values:
        measured = {name: values.get(name, "") for name in self.measures}
        return {"setting": run.setting, "prompt": run.prompt, "seed": run.seed, **measured, "folder": str(run.folder)}

    def shown(self, prompt: str, seed: int, setting: str, found: Mapping[Run, Values]) -> Shown | None:
        """The renders of a run; the true toy, where the prompt is about one."""
        if setting == "truth":
            truth = true_row(prompt)
            return None if truth is None else Shown(truth)
        run = next(run for run in self.runs if (run.prompt, run.seed, run.setting) == (prompt, seed, setting))
        if run not in found:
            return None
        return Shown(row_of(run.folder), caption(found[run], self.measures))


def share(prompts: Sequence[str], shard: str) -> list[str]:
    """Every n-th prompt: those of shard `i/n`."""
    if not shard:
        return list(prompts)
    index, _, count = shard.partition("/")
    if not (index.isdecimal() and count.isdecimal() and int(index) < int(count) <= len(prompts)):
        raise UserError(f"job.shard={shard}: say 0/4 for the first of four, up to 3/4; no more than there are prompts")
    return list(prompts[int(index) :: int(count)])
