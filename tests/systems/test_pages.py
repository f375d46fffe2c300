"""What pages show may be written by anyone: it is shown, and is never a part of the page."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import numpy as np

from systems.reports.gallery import Shown, write_gallery
from systems.reports.page import write_page
from systems.reports.tables import Figure, Table

EVIL = """</pre></title><script>alert("1")</script><img src=x onerror='alert(2)'>" onload="alert(3) $title ${x}"""


class Found(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(file: Path) -> Found:
    found = Found()
    found.feed(file.read_text())
    return found


def test_a_runs_page_escapes_all_that_it_shows(tmp_path: Path) -> None:
    folder = tmp_path / "<script>'\""
    folder.mkdir()
    for name in ("command.txt", "config.yaml"):
        (folder / name).write_text(EVIL)
    for name in ("turntable.mp4", "views.png"):
        (folder / name).write_bytes(b"x")
    (folder / "metrics.csv").write_text("step,<script>x\n0,1\n1,2\n")
    write_page(folder, {EVIL: EVIL}, None)
    found = parsed(folder / "index.html")
    assert "script" not in found.tags and found.tags.count("img") == 1
    assert not {"onerror", "onload"} & found.attributes
    assert found.text.count(EVIL) == 4 and found.text.count(folder.name) == 2 and "<script>x" in found.text


def test_a_gallery_escapes_all_that_it_shows(tmp_path: Path) -> None:
    (tmp_path / "command.txt").write_text(EVIL)
    shown = Shown(np.zeros((4, 4, 3), np.uint8), EVIL)
    table = Table([EVIL], {EVIL: {EVIL: EVIL}, "b": {EVIL: Figure(1.0)}}, EVIL)
    write_gallery(tmp_path, EVIL, EVIL, table, [EVIL], {EVIL: [shown]})
    found = parsed(tmp_path / "index.html")
    assert "script" not in found.tags and found.tags.count("img") == 1
    assert not {"onerror", "onload"} & found.attributes
    assert found.text.count(EVIL) == 11
