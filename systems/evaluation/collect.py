"""The job of putting together what the runs of a sweep have left so far: tables, and a page to look at."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import torch

from data.errors import UserError
from data.plain_text import one_line
from data.whole_file import write_text
from systems.command.run_folder import RunFolder
from systems.command.status import FINISHED, RUNNING
from systems.command.swept_runs import swept_runs
from systems.command.walk import nearest
from systems.evaluation.left_behind import Left, look_at
from systems.evaluation.settings import Settings
from systems.reports.film import Film, picture_of
from systems.reports.gallery import write_gallery
from systems.reports.provenance import provenance, write_whole
from systems.reports.tables import Table, Values, caption, escaped, number, summary_of, write_runs
from systems.reports.wandb_folders import sync_line, unsent

log = logging.getLogger(__name__)
MEASURES = ("janus", "faceless", "clip_score", "truth_iou", "truth_psnr", "truth_facing", "loss", "seconds")
OF_STATUS = ("host", "job", "started", "updated")


class Collect:
    """sweep: a folder with runs, finished or not. measures: of metrics.json, in the order of the columns; null: those
    of MEASURES."""

    def __init__(self, sweep: str, measures: Sequence[str] | None = None) -> None:
        self.sweep, self.measures = Path(sweep), MEASURES if measures is None else measures
        self.runs = swept_runs(sweep)
        self.settings = Settings(self.runs)

    def run(self, folder: RunFolder, checkpoint: Path | None) -> None:
        own = folder.path.resolve()
        found = [look_at(run, self.sweep) for run in self.runs if (self.sweep / run.folder).resolve() != own]
        self.check_measures(found)
        states = Counter(left.state for left in found)
        about, told, table = self.about(states), happened(found), self.table(found)
        log.info("%s\n\n%s\n%s", "\n".join(about), told.markdown(), table.markdown())
        head = "\n\n".join(map(escaped, about))
        write_text(folder.path / "happened.md", f"{head}\n\n{told.markdown()}{logs(found)}")
        write_runs(folder.path / "runs.csv", [self.row_of(left) for left in found])
        table.write(folder.path)
        self.write_page(folder.path, "\n".join(about), table, found)
        if recorded := [place for left in found if left.state != RUNNING for place in unsent(left.folder)]:
            log.info("Recorded offline; to send it to W&B:\n%s", sync_line(recorded))
        counted = {"runs": len(found), "states": dict(states), "settings": table.numbers()}
        write_whole(folder.metrics, counted | provenance(torch.device("cpu")))

    def check_measures(self, found: Sequence[Left]) -> None:
        """UserError for one that no run has, nor could have; nobody knows as long as none has any."""
        had = dict.fromkeys(name for left in found for name in left.figures if number(left.figures, name) is not None)
        for name in self.measures if had else ():
            if name not in {*had, *MEASURES}:
                raise UserError(f"job.measures: no run has {name}{nearest(name, [*had, *MEASURES])}")

    def about(self, states: Counter[str]) -> list[str]:
        """How many runs stand how, what all of them were told, and when that was."""
        stand = ", ".join(f"{count} {state}" for state, count in states.most_common())
        common = " ".join(["all:", *self.settings.common]) if self.settings.common else ""
        now = f"as of {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
        return [one_line(text) for text in (f"{states.total()} runs: {stand}", common, now) if text]

    def setting_of(self, left: Left) -> str:
        return self.settings.name(left.run)

    def table(self, found: Sequence[Left]) -> Table:
        """Of the runs that are finished and whose figures are there; `of`: how many have been asked for."""
        rows = {}
        for setting in dict.fromkeys(map(self.setting_of, found)):
            asked = [left for left in found if self.setting_of(left) == setting]
            done = [left.figures for left in asked if left.final and left.state == FINISHED]
            rows[setting] = summary_of(done, self.measures)
            rows[setting]["of"] = str(len(asked))
        measured = [name for name in self.measures if any(name in row for row in rows.values())]
        return Table(("runs", "of", *measured), rows, "setting")

    def write_page(self, folder: Path, summary: str, table: Table, found: Sequence[Left]) -> None:
        """A row for each prompt and seed, a column for each setting."""
        shown: dict[str, dict[str, Film]] = {}
        for left in found:
            name = ", ".join(filter(None, [left.run.prompt, f"seed {left.run.seed}"]))
            if self.setting_of(left) in shown.get(name, {}):
                name += f", {left.run.folder}"
            shown.setdefault(name, {})[self.setting_of(left)] = self.film(left, folder)
        rows = {name: [row.get(setting) for setting in table.rows] for name, row in shown.items()}
        write_gallery(folder, str(self.sweep), summary, table, list(table.rows), rows)

    def film(self, left: Left, page: Path) -> Film:
        way = os.path.relpath(os.path.realpath(left.folder), os.path.realpath(page))  # also where one is a link
        there = lambda name: f"{way}/{name}" if name and (left.folder / name).is_file() else None
        stands = " ".join(filter(None, [left.state, left.progress]))
        told = ": ".join(filter(None, [stands, left.happened])) if left.state != FINISHED else left.happened
        figures = caption(left.figures, self.measures)
        return Film(
            there("turntable.mp4"),
            there("index.html"),
            told,
            figures,
            "\n".join(left.lines),
            there(picture_of(left.folder)),
        )

    def row_of(self, left: Left) -> Values:
        run, status = left.run, left.status
        said: Values = {"folder": run.folder, "prompt": run.prompt or "", "seed": run.seed}
        said |= {"setting": self.setting_of(left), **self.settings.values(run)}
        said |= {"state": left.state, "reason": left.happened}
        said |= {"step": "" if left.step is None else left.step, "steps": "" if left.steps is None else left.steps}
        said |= {name: getattr(status, name, "") for name in OF_STATUS}
        return said | {name: value for name, value in left.figures.items() if name not in said}


def happened(found: Sequence[Left]) -> Table:
    rows = {
        left.run.folder: {"state": left.state, "steps": left.progress, "what happened": left.happened} for left in found
    }
    return Table(("state", "steps", "what happened"), rows, "run")


def logs(found: Sequence[Left]) -> str:
    """As Markdown, where four spaces keep a line as it is."""
    return "".join(
        "\n".join([f"\n## {escaped(left.run.folder)}\n", *(f"    {line}" for line in left.lines)]) + "\n"
        for left in found
        if left.lines
    )
