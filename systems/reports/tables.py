"""Figures with their intervals as tables: Markdown to quote, CSV to compute with, HTML to look at."""

from __future__ import annotations

import csv
import html
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from data.plain_text import one_line
from data.reading import read_json
from data.whole_file import whole, write_text
from metrics.intervals import EVERYTHING, Interval, mean_interval, wilson

DECIMALS = 4  # at most
RATES = ("janus", "faceless")
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet computes, or worse, begins so
Values = dict[str, str | int | float]


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
        return "\n".join("| " + " | ".join(map(escaped, line)) + " |" for line in lines) + "\n"

    def html(self) -> str:
        cells = lambda tag, texts: "".join(f"<{tag}>{html.escape(text)}</{tag}>" for text in texts)
        body = [f"<tr>{cells('th', [name])}{cells('td', row)}</tr>" for name, *row in self.texts()]
        return f"<table><tr>{cells('th', [self.about, *self.columns])}</tr>{''.join(body)}</table>"

    def write_csv(self, path: Path) -> None:
        """A column each for the figure, for both ends of its interval, and for how many runs it is of, if not all."""
        with whole(path) as draft, draft.open("w", newline="") as file:
            table = csv.writer(file)
            ends = ("", "_low", "_high", "_n")
            lines = [[self.about, *(name + end for name in self.columns for end in ends)]]
            for name, row in self.rows.items():
                lines.append([name, *(part for column in self.columns for part in _parts(row.get(column, "")))])
            table.writerows([_harmless(cell) for cell in line] for line in lines)

    def write(self, folder: Path) -> None:
        write_text(folder / "table.md", self.markdown())
        self.write_csv(folder / "table.csv")

    def numbers(self) -> dict[str, dict[str, float]]:
        """Of each row, its figures and both ends of their intervals."""
        named = {name: [(c, f) for c, f in row.items() if isinstance(f, Figure)] for name, row in self.rows.items()}
        return {
            name: {column: figure.value for column, figure in row}
            | {f"{column}_{end}": getattr(figure.interval, end) for column, figure in row for end in ("low", "high")}
            for name, row in named.items()
        }

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


def read_figures(file: Path) -> Values:
    """A run's metrics.json, and `faceless`: 1 if no side of what has a front shows it, which is not Janus, but no
    better. ValueError if the file is damaged."""
    found = read_json(file)
    if "janus_front_arcs" in found:
        found["faceless"] = int(found["janus_front_arcs"] == 0)
    return {name: value for name, value in found.items() if isinstance(value, str | int | float)}


def summary_of(runs: Sequence[Values], measures: Sequence[str]) -> dict[str, Figure | str]:
    """A row of a table: how many runs there are, and their mean, or their rate, in each measure that they have."""
    row: dict[str, Figure | str] = {"runs": str(len(runs))}
    for name in measures:
        if values := [value for one in runs if (value := number(one, name)) is not None]:
            figure = rate_of(values) if name in RATES else mean_of(values)
            row[name] = replace(figure, n=None if len(values) == len(runs) else len(values))
    return row


def number(values: Values, name: str) -> float | None:
    """None for what a run did not measure, or what is no number, or none that fits into one."""
    value = values.get(name)
    try:
        return float(value) if isinstance(value, int | float) else None
    except OverflowError:
        return None


def escaped(text: str) -> str:
    """As Markdown shows it in one line, and takes no part of it for its own signs, or for HTML."""
    return re.sub(r"[\\|<`\[]", r"\\\g<0>", one_line(text))


def caption(values: Values, measures: Sequence[str]) -> str:
    found = {name: number(values, name) for name in measures}
    return ", ".join(f"{name} {Figure(value)}" for name, value in found.items() if value is not None)


def write_runs(path: Path, runs: Sequence[Values]) -> None:
    """A row for each run, a column for all that any of them has."""
    with whole(path) as draft, draft.open("w", newline="") as file:
        columns = list(dict.fromkeys(name for run in runs for name in run))
        table = csv.writer(file)
        table.writerow(map(_harmless, columns))
        table.writerows([_harmless(run.get(name, "")) for name in columns] for run in runs)


def _harmless(cell: str | int | float) -> str | int | float:
    """Text that a spreadsheet would take for a formula, with the sign that it takes for "this is text"."""
    if not isinstance(cell, str) or not cell.startswith(FORMULA):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell


def _parts(cell: Figure | str) -> list[str]:
    if isinstance(cell, str):
        return [cell, "", "", ""]
    ends = (cell.interval.low, cell.interval.high)
    n = "" if cell.n is None else str(cell.n)
    return [repr(cell.value), *(repr(end) if math.isfinite(end) else "" for end in ends), n]
