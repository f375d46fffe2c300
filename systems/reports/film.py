"""A run's turntable in a gallery: by its place on the disk, since hundreds of them are too much for one file."""

from __future__ import annotations

import html
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from data.whole_file import DRAFT

WHOLE = ("grid.png", "views.png")  # written at the end
PLAY = 'muted loop playsinline preload="metadata" tabindex="0" onfocus="this.play()" onblur="this.pause()"'
PLAY += ' onmouseenter="this.play()" onmouseleave="this.pause()"'


@dataclass(frozen=True)
class Film:
    """video, page, picture: of the run, as paths from the gallery's folder; None: there is none yet. The picture is for
    a run without a video. told: how the run stands, where there is something to say. log: its last lines."""

    video: str | None
    page: str | None
    told: str = ""
    caption: str = ""
    log: str = ""
    picture: str | None = None

    def html(self) -> str:
        lines = [f"<small>{html.escape(text)}</small>" for text in (self.told, self.caption) if text]
        if self.page:
            lines.append(f'<small><a href="{link(self.page)}">the run</a></small>')
        log = f"<details><summary>log</summary><pre>{html.escape(self.log)}</pre></details>" if self.log else ""
        return self._seen() + "<br>".join(lines) + log

    def _seen(self) -> str:
        if self.video:
            return f'<video src="{link(self.video)}" {PLAY}></video>'
        return f'<img src="{link(self.picture)}" alt="" loading="lazy">' if self.picture else ""


def picture_of(run: Path) -> str | None:
    """What shows all that a run has drawn; of one that has not come so far, the newest that it has looked at."""
    for name in WHOLE:
        if (run / name).is_file():
            return name
    drawn = [file for file in run.glob("images/*.png") if not file.name.startswith(DRAFT)]
    newest = max(drawn, key=lambda file: (_written(file), file.name), default=None)
    return None if newest is None else str(newest.relative_to(run))


def _written(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:  # gone since
        return 0.0


def link(path: str) -> str:
    """A path as a URL: `guidance=sds, 50%` -> `guidance%3Dsds%2C%2050%25`."""
    return quote(os.fsencode(path))
