"""index.html in a real browser: the viewer inside it shows the object, upright, from the front, in its colours."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from jaxtyping import Float

from models.asset import Asset
from systems.reports.page import write_page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--hide-scrollbars", "--window-size=1100,800",
]  # fmt: skip
UPPER, LOWER = (204, 26, 26), (26, 153, 77)


def board() -> Asset:
    """Stands upright, half a metre each way, and looks to the front (+x); red above, green below."""
    corners = torch.tensor([[0.0, -0.5, 0.5], [0.0, 0.5, 0.5], [0.0, -0.5, -0.5], [0.0, 0.5, -0.5]])
    uv = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    texture = torch.tensor([UPPER] * 8 + [LOWER] * 8)[:, None].expand(-1, 16, -1) / 255
    return Asset(corners, torch.tensor([[0, 2, 1], [1, 2, 3]]), torch.tensor([[1.0, 0.0, 0.0]] * 4), uv, texture)


def screenshot(page: Path, scratch: Path, milliseconds: int) -> Float[np.ndarray, "h w 3"]:
    picture = scratch / f"{milliseconds}.png"
    options = [f"--user-data-dir={scratch / 'profile'}", f"--screenshot={picture}"]
    wait = [f"--virtual-time-budget={milliseconds}", page.as_uri()]
    subprocess.run([str(CHROMIUM), *FLAGS, *options, *wait], check=True, capture_output=True, timeout=120)
    return iio.imread(picture)[..., :3].astype(float)


def place(picture: Float[np.ndarray, "h w 3"], color: tuple[int, int, int]) -> tuple[int, float, float]:
    """How many pixels of a colour there are, and their mean row and column."""
    rows, columns = np.nonzero(np.abs(picture - color).max(axis=-1) <= 6)
    return len(rows), rows.mean() if len(rows) else np.nan, columns.mean() if len(columns) else np.nan


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
def test_the_page_shows_the_asset_in_a_browser(tmp_path: Path) -> None:
    for name in ("turntable.mp4", "command.txt", "config.yaml"):
        (tmp_path / name).touch()
    (tmp_path / "metrics.csv").write_text("step,loss\n0,1.0\n1,0.5\n")
    iio.imwrite(tmp_path / "views.png", np.full((8, 8, 3), 255, np.uint8))
    write_page(tmp_path, {}, board())
    for milliseconds in (4000, 16000, 64000):  # a busy machine needs longer
        picture = screenshot(tmp_path / "index.html", tmp_path, milliseconds)
        red, red_row, red_column = place(picture, UPPER)
        green, green_row, green_column = place(picture, LOWER)
        if red:
            break
    assert red > 5000 and red == pytest.approx(green, rel=0.05)
    assert green_row - red_row > 50 and red_column == pytest.approx(green_column, abs=3)
