"""A table and the pictures behind it on one page that opens from disk, without a network."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import UInt8
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from PIL import Image, UnidentifiedImageError

from data.errors import UserError
from data.pictures import DAMAGED, MOST_PIXELS, opened, read_within
from data.samplers import turntable
from data.whole_file import write_text
from metrics.toybox_truth import toy_of, true_views
from systems.command.stored_config import read_config
from systems.reports.pictures import to_bytes
from systems.reports.tables import Table

TEMPLATE = Path(__file__).with_name("gallery.html")
QUALITY = 85
N_VIEWS, SIZE = 8, 64  # of the true toy, and pixels of each


@runtime_checkable
class Cell(Protocol):
    def html(self) -> str: ...


@dataclass(frozen=True)
class Shown:
    picture: UInt8[np.ndarray, "h w 3"]
    caption: str = ""

    def html(self) -> str:
        file = io.BytesIO()
        Image.fromarray(self.picture).save(file, "JPEG", quality=QUALITY)
        source = f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
        return f'<img src="{source}"><small>{html.escape(self.caption)}</small>'


def true_row(prompt: str, size: int = SIZE) -> UInt8[np.ndarray, "h w 3"] | None:
    """The toy that the prompt means, as a run's views.png shows its object; None if it means none."""
    toy = toy_of(prompt)
    return to_bytes(torch.cat(list(true_views(toy, turntable(N_VIEWS, size))[0]), dim=1)) if toy else None


def row_of(folder: Path, row: int = 0, size: int = SIZE) -> UInt8[np.ndarray, "h w 3"]:
    """Of a run's views.png, small; 0: the renders, 1: below them, the mesh."""
    n = _n_views(folder / "config.yaml")
    try:
        with opened(read_within(folder / "views.png"), ("PNG",)) as views:
            if not 1 <= n <= min(views.width, MOST_PIXELS // size**2):
                raise ValueError(f"it has {views.width} pixels across, and no {n} views")
            large = views.width // n
            part = views.convert("RGB").crop((0, row * large, views.width, (row + 1) * large))
        return np.asarray(part.resize((n * size, size), Image.Resampling.BOX))
    except (*DAMAGED, Image.DecompressionBombError) as error:
        why = "it is no PNG" if isinstance(error, UnidentifiedImageError) else error
        raise UserError(f"{folder}/views.png cannot be shown ({why}): run it again, or leave it out") from error


def _n_views(config: Path) -> int:
    """That its views.png shows, as the configuration of the run says."""
    try:
        n = OmegaConf.select(read_config(config), "report.n_views", default=N_VIEWS)
    except (OSError, ValueError, OmegaConfBaseException) as error:
        raise UserError(f"{config} cannot be read (it {error}): run it again, or leave it out") from error
    if type(n) is not int:
        raise UserError(
            f"{config} says report.n_views={str(n)[:200]}, which is no number: run it again, or leave it out"
        )
    return n


def write_gallery(
    folder: Path,
    title: str,
    summary: str,
    table: Table,
    heads: Sequence[str],
    rows: Mapping[str, Sequence[Cell | None]],
) -> None:
    """heads: of the columns of cells; rows: cells by what they are of, None where there is none."""
    head = "".join(f"<th>{html.escape(text)}</th>" for text in ("", *heads))
    body = [f"<tr><th>{html.escape(name)}</th>{''.join(map(_cell, row))}</tr>" for name, row in rows.items()]
    page = Template(TEMPLATE.read_text()).substitute(
        title=html.escape(title),
        summary=html.escape(summary),
        table=table.html(),
        gallery="\n".join([f"<tr>{head}</tr>", *body]),
        command=html.escape((folder / "command.txt").read_text()),
    )
    write_text(folder / "index.html", page)


def _cell(shown: Cell | None) -> str:
    return f"<td>{shown.html() if shown else ''}</td>"
