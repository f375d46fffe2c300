"""Scores of sets of pictures, with their intervals and the pictures themselves: table, page, W&B."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import imageio.v3 as iio

from metrics.intervals import Interval
from systems.reports.gallery import Shown, write_gallery
from systems.reports.tables import Figure, Table
from systems.reports.wandb_log import WandbLog

LIMIT = "fid_infinite_"
SHEET = "sheet.png"
log = logging.getLogger(__name__)
Scores = Mapping[str, float]


def report_scores(
    folder: Path,
    title: str,
    summary: str,
    scores: Mapping[str, Scores],
    made_in: Mapping[str, Path],
    metrics: Mapping[str, object],
    logger: WandbLog | Literal[False],
) -> None:
    """scores: by row; made_in: the folder of each row's sheet of pictures; metrics: for W&B."""
    table = table_of(scores)
    log.info("%s\n\n%s", summary, table.markdown())
    table.write(folder)
    sheets = {row: place / SHEET for row, place in made_in.items()}
    shown = {row: [Shown(iio.imread(sheet))] for row, sheet in sheets.items()}
    write_gallery(folder, title, summary, table, ["the first captions: pictures, truth"], shown)
    if logger:
        logger.show_table("scores", table, metrics, sheets)


def table_of(scores: Mapping[str, Scores]) -> Table:
    """Every score that has an interval, and FID's limit; scores of different networks have different columns."""
    columns: dict[str, None] = {}
    rows: dict[str, dict[str, Figure | str]] = {}
    for row, found in scores.items():
        rows[row] = {}
        for name, value in found.items():
            if f"{name}_low" in found:
                rows[row][name] = Figure(value, Interval(found[f"{name}_low"], found[f"{name}_high"]))
            elif name.startswith(LIMIT):
                rows[row][name] = Figure(value)
        columns |= dict.fromkeys(rows[row])
    return Table(list(columns), rows)
