"""The job of putting together what the runs of a sweep have left so far: tables, and a page to look at."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch

from data.whole_file import write_text
from systems.command.run_folder import RunFolder
from systems.command.status import FINISHED
from systems.command.swept_runs import swept_runs
from systems.evaluation.left_behind import Left, look_at
from systems.reports.film import Film
from systems.reports.gallery import write_gallery
from systems.reports.provenance import provenance, write_whole
from systems.reports.tables import Table, Values, caption, summary_of, write_runs

log = logging.getLogger(__name__)
UNCHANGED = "default"  # the setting of runs that were told nothing that others were not


class Collect:
    """sweep: a folder with runs, finished or not. measures: of metrics.json, in the order of the columns."""

    def __init__(self, sweep: str, measures: Sequence[str]) -> None:
        self.sweep, self.measures = Path(sweep), measures
        self.runs = swept_runs(sweep)

    def run(self, folder: RunFolder, checkpoint: Path | None) -> None:
        own = folder.path.resolve()
        found = [look_at(run, self.sweep) for run in self.runs if (self.sweep / run.folder).resolve() != own]
        states = Counter(left.state for left in found)
        summary = f"{len(found)} runs: " + ", ".join(f"{count} {state}" for state, count in states.most_common())
        told, table = happened(found), self.table(found)
        log.info("%s\n\n%s\n%s", summary, told.markdown(), table.markdown())
        write_text(folder.path / "happened.md", f"{summary}\n\n{told.markdown()}{logs(found)}")
        write_runs(folder.path / "runs.csv", [row_of(left) for left in found])
        table.write(folder.path)
        self.write_page(folder.path, summary, table, found)
        counted = {"runs": len(found), "states": dict(states), "settings": table.numbers()}
        write_whole(folder.metrics, counted | provenance(torch.device("cpu")))

    def table(self, found: Sequence[Left]) -> Table:
        """Of the runs whose figures are there; `of`: how many have been asked for."""
        rows = {}
        for setting in dict.fromkeys(map(setting_of, found)):
            asked = [left for left in found if setting_of(left) == setting]
            rows[setting] = summary_of([left.figures for left in asked if left.final], self.measures)
            rows[setting]["of"] = str(len(asked))
        measured = [name for name in self.measures if any(name in row for row in rows.values())]
        return Table(("runs", "of", *measured), rows, "setting")

    def write_page(self, folder: Path, summary: str, table: Table, found: Sequence[Left]) -> None:
        """A row for each prompt and seed, a column for each setting."""
        shown: dict[str, dict[str, Film]] = {}
        for left in found:
            name = ", ".join(filter(None, [left.run.prompt, f"seed {left.run.seed}"]))
            if setting_of(left) in shown.get(name, {}):
                name += f", {left.run.folder}"
            shown.setdefault(name, {})[setting_of(left)] = self.film(left, folder)
        rows = {name: [row.get(setting) for setting in table.rows] for name, row in shown.items()}
        write_gallery(folder, str(self.sweep), summary, table, list(table.rows), rows)

    def film(self, left: Left, page: Path) -> Film:
        there = lambda name: os.path.relpath(left.folder / name, page) if (left.folder / name).is_file() else None
        stands = " ".join(filter(None, [left.state, left.progress]))
        told = ": ".join(filter(None, [stands, left.happened])) if left.state != FINISHED else left.happened
        figures = caption(left.figures, self.measures)
        return Film(there("turntable.mp4"), there("index.html"), told, figures, "\n".join(left.lines))


def setting_of(left: Left) -> str:
    return left.run.variant or UNCHANGED


def row_of(left: Left) -> Values:
    run = left.run
    said: Values = {"folder": run.folder, "prompt": run.prompt or "", "seed": run.seed, "variant": run.variant}
    said |= {"state": left.state, "reason": left.happened}
    said |= {"step": "" if left.step is None else left.step, "steps": "" if left.steps is None else left.steps}
    return said | {name: value for name, value in left.figures.items() if name not in said}


def happened(found: Sequence[Left]) -> Table:
    rows = {
        left.run.folder: {"state": left.state, "steps": left.progress, "what happened": left.happened} for left in found
    }
    return Table(("state", "steps", "what happened"), rows, "run")


def logs(found: Sequence[Left]) -> str:
    """As Markdown, where four spaces keep a line as it is."""
    return "".join(
        "\n".join([f"\n## {left.run.folder}\n", *(f"    {line}" for line in left.lines)]) + "\n"
        for left in found
        if left.lines
    )
