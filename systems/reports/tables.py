"""Figures with their intervals as tables: Markdown to quote, CSV to compute with, HTML to look at."""

from __future__ import annotations

import csv
import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from data.whole_file import whole, write_text
from metrics.intervals import EVERYTHING, Interval, mean_interval, wilson

DECIMALS = 4  # at most


@dataclass(frozen=True)
class Figure:
    """interval: of 95 %; EVERYTHING: unknown. n: of how many runs, where that is not all of the row."""

    value: float
    interval: Interval = EVERYTHING
    n: int | None = None

    def __str__(self) -> str:
        """Three digits of the value, and as many decimals of its interval."""
        if not math.isfinite(self.value):
            return str(self.value)
        digits = 2 - math.floor(math.log10(abs(self.value))) if self.value else 2
        show = lambda x: f"{x:.{min(max(digits, 0), DECIMALS)}f}"
        few = "" if self.n is None else f", n = {self.n}"
        if not math.isfinite(self.interval.low + self.interval.high):
            return show(self.value) + few
        return f"{show(self.value)} ({show(self.interval.low)} to {show(self.interval.high)}){few}"


@dataclass(frozen=True)
class Table:
    """A row has a figure or nothing in each of the columns; `about` says in a word what a row is."""

    columns: Sequence[str]
    rows: Mapping[str, Mapping[str, Figure | str]]
    about: str = ""

    def markdown(self) -> str:
        lines = [[self.about, *self.columns], ["---"] * (len(self.columns) + 1), *self.texts()]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"

    def html(self) -> str:
        cells = lambda tag, texts: "".join(f"<{tag}>{html.escape(text)}</{tag}>" for text in texts)
        body = [f"<tr>{cells('th', [name])}{cells('td', row)}</tr>" for name, *row in self.texts()]
        return f"<table><tr>{cells('th', [self.about, *self.columns])}</tr>{''.join(body)}</table>"

    def write_csv(self, path: Path) -> None:
        """A column each for the figure, for both ends of its interval, and for how many runs it is of, if not all."""
        with whole(path) as draft, draft.open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow([self.about, *(name + end for name in self.columns for end in ("", "_low", "_high", "_n"))])
            for name, row in self.rows.items():
                table.writerow([name, *(part for column in self.columns for part in _parts(row.get(column, "")))])

    def write(self, folder: Path) -> None:
        write_text(folder / "table.md", self.markdown())
        self.write_csv(folder / "table.csv")

    def texts(self) -> list[list[str]]:
        """Each row, its name first."""
        return [[name, *(str(row.get(column, "")) for column in self.columns)] for name, row in self.rows.items()]


def mean_of(values: Sequence[float]) -> Figure:
    numbers = torch.tensor(values, dtype=torch.float64)
    return Figure(numbers.mean().item(), mean_interval(numbers))


def rate_of(values: Sequence[float]) -> Figure:
    """values: 0 or 1 each."""
    hits = sum(value > 0 for value in values)
    return Figure(hits / len(values), wilson(hits, len(values)))


def _parts(cell: Figure | str) -> list[str]:
    if isinstance(cell, str):
        return [cell, "", "", ""]
    ends = (cell.interval.low, cell.interval.high)
    n = "" if cell.n is None else str(cell.n)
    return [repr(cell.value), *(repr(end) if math.isfinite(end) else "" for end in ends), n]
