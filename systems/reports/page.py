"""index.html: a run on one page that opens from disk, without a network and without the other files."""

from __future__ import annotations

import base64
import csv
import html
from collections.abc import Mapping
from pathlib import Path
from string import Template

from trimesh.viewer.notebook import scene_to_html

from data.whole_file import write_text
from models.asset import Asset
from models.gltf import glb_bytes

TEMPLATE = Path(__file__).with_name("page.html")
START = "renderer.setPixelRatio("  # in trimesh's page
DISPLAY = "renderer.outputEncoding=THREE.sRGBEncoding;"
WIDTH, HEIGHT = 320, 140  # of a curve, in SVG units


def write_page(folder: Path, metrics: Mapping[str, str | int | float], asset: Asset | None) -> None:
    """Puts together the asset and what the run has written: video, views, metrics.csv, config and command."""
    page = Template(TEMPLATE.read_text()).substitute(
        title=html.escape(folder.name),
        command=html.escape((folder / "command.txt").read_text()),
        video=_base64(folder / "turntable.mp4"),
        views=_base64(folder / "views.png"),
        viewer=html.escape(_viewer(asset)),
        curves="".join(_curve(name, points) for name, points in _columns(folder / "metrics.csv").items()),
        metrics="".join(_row(name, str(value)) for name, value in metrics.items()),
        config=html.escape((folder / "config.yaml").read_text()),
    )
    write_text(folder / "index.html", page)


def _row(name: str, value: str) -> str:
    return f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


class _Glb:
    """What trimesh's page asks of a scene: its camera, and the file, which is ours and has a camera in it."""

    camera = None

    def __init__(self, asset: Asset) -> None:
        self.asset = asset

    def export(self, file_type: str) -> bytes:
        assert file_type == "glb"
        return glb_bytes(self.asset)


def _viewer(asset: Asset | None) -> str:
    """trimesh's page, with three.js and the file inline; textures are in sRGB, and so is what a screen wants."""
    if asset is None:
        return "<p>There is no mesh.</p>"
    return scene_to_html(_Glb(asset)).replace(START, DISPLAY + START)


def _columns(path: Path) -> dict[str, list[tuple[float, float]]]:
    """(step, value) of every logged value, by name."""
    with path.open() as file:
        rows = list(csv.DictReader(file))
    names = [name for name in (rows[0] if rows else []) if name not in ("step", "seconds")]
    return {name: [(float(row["step"]), float(row[name])) for row in rows if row[name]] for name in names}


def _curve(name: str, points: list[tuple[float, float]]) -> str:
    """A value over the steps, thinned to what the eye can see, as an inline SVG."""
    points = points[:: max(1, len(points) // WIDTH)]
    low, high = min(y for _, y in points), max(y for _, y in points)
    first, last = points[0][0], points[-1][0]
    to_x = WIDTH / max(last - first, 1)
    to_y = HEIGHT / max(high - low, 1e-12)
    line = " ".join(f"{(x - first) * to_x:.1f},{(high - y) * to_y:.1f}" for x, y in points)
    caption = f"{html.escape(name)} <small>{low:.3g} … {high:.3g}</small>"
    shape = f'<svg viewBox="-4 -4 {WIDTH + 8} {HEIGHT + 8}"><polyline points="{line}"/></svg>'
    return f"<figure>{shape}<figcaption>{caption}</figcaption></figure>"
