"""A run's turntable in a gallery: by its place on the disk, since hundreds of them are too much for one file."""

from __future__ import annotations

import html
import os
from dataclasses import dataclass
from urllib.parse import quote

PLAY = 'muted loop playsinline preload="metadata" tabindex="0" onfocus="this.play()" onblur="this.pause()"'
PLAY += ' onmouseenter="this.play()" onmouseleave="this.pause()"'


@dataclass(frozen=True)
class Film:
    """video, page: of the run, as paths from the gallery's folder; None: there is none yet. told: how the run stands,
    where there is something to say. log: its last lines."""

    video: str | None
    page: str | None
    told: str = ""
    caption: str = ""
    log: str = ""

    def html(self) -> str:
        video = f'<video src="{link(self.video)}" {PLAY}></video>' if self.video else ""
        lines = [f"<small>{html.escape(text)}</small>" for text in (self.told, self.caption) if text]
        if self.page:
            lines.append(f'<small><a href="{link(self.page)}">the run</a></small>')
        log = f"<details><summary>log</summary><pre>{html.escape(self.log)}</pre></details>" if self.log else ""
        return video + "<br>".join(lines) + log


def link(path: str) -> str:
    """A path as a URL: `guidance=sds, 50%` -> `guidance%3Dsds%2C%2050%25`."""
    return quote(os.fsencode(path))
