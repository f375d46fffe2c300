from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch
import trimesh
from pytorch_lightning import Trainer

from models.geometry import BlobMagic3D
from models.triangles import EmptySurfaceError
from systems.checkpoint import Checkpoint
from systems.export import Exporter
from systems.reports.progress import Progress
from systems.reports.reporting import Report
from systems.schedules import Linear
from systems.text_to_3d import TextTo3D

Make = Callable[..., TextTo3D]
MakeTrainer = Callable[..., Trainer]


def small_report() -> Report:
    return Report(Exporter(resolution=24, texture_size=64), every=2, size=32, n_frames=8, n_views=4, transparent=True)


@pytest.fixture(scope="module")
def folder(make_system: Make, make_trainer_in: MakeTrainer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of one finished run, which the tests only read."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "config.yaml").write_text("prompt: <a red dog>\n")
    make_trainer_in(folder, Progress(), Checkpoint(), small_report()).fit(make_system())
    return folder


class Sources(HTMLParser):
    """What a browser would fetch to show the page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.frames: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in {"src", "href"}:
                self.found.append(value or "")
            if name == "srcdoc":
                self.frames.append(value or "")


def test_transparent_views_have_the_colours_and_not_the_background(folder: Path) -> None:
    cut, seen = iio.imread(folder / "transparent.png") / 255.0, iio.imread(folder / "views.png")[:32] / 255.0
    assert cut.shape == (32, 4 * 32, 4)
    alpha = cut[..., 3:]
    assert alpha.min() < 0.05 and alpha.max() > 0.3
    grey = (seen - alpha * cut[..., :3])[alpha[..., 0] < 0.9] / (1 - alpha)[alpha[..., 0] < 0.9]
    assert abs(grey - 0.5).max() < 0.06


def test_run_leaves_every_file(folder: Path) -> None:
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert {"views.png", "turntable.mp4", "mesh.glb", "index.html", "metrics.json", "metrics.csv"} <= files
    assert {"images/000002.png", "images/000004.png", "images/000006.png", "checkpoints/last.ckpt"} <= files


def test_views_stand_in_a_row_and_the_mesh_in_one_below(folder: Path) -> None:
    views = iio.imread(folder / "views.png")
    assert views.shape == (2 * 32, 4 * 32, 3)
    assert np.abs(views[:32].astype(float) - views[32:]).mean() < 25


def test_metrics_say_how_close_the_mesh_is(folder: Path) -> None:
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["mesh_psnr"] > 15 and metrics["mesh_iou"] > 0.8
    mesh = trimesh.load_mesh(folder / "mesh.glb")
    assert metrics["mesh_faces"] == len(mesh.faces) and metrics["mesh_vertices"] <= len(mesh.vertices)
    assert metrics["export_seconds"] > 0 and metrics["mesh_unwrapped"] == "xatlas"


def test_turntable_is_h264_and_has_all_frames(folder: Path) -> None:
    assert iio.imread(folder / "turntable.mp4", plugin="pyav").shape == (8, 32, 32, 3)
    assert iio.immeta(folder / "turntable.mp4", plugin="pyav")["codec"] == "h264"


def test_mesh_opens(folder: Path) -> None:
    assert len(trimesh.load_mesh(folder / "mesh.glb").faces) > 100


def test_metrics_say_what_the_run_took(folder: Path) -> None:
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["steps"] == 6
    assert metrics["seconds"] > 0 and metrics["peak_memory_mb"] > 100
    assert metrics["device"] == "cpu" and re.match(r"\d+\.\d+", metrics["version"])
    assert {"loss", "loss/opacity", "opacity"} <= metrics.keys()


def test_report_alone_can_be_repeated(folder: Path, make_system: Make, make_trainer_in: MakeTrainer) -> None:
    """As after a kill during the report: the last checkpoint has nothing left to train."""
    before = json.loads((folder / "metrics.json").read_text())
    last = folder / "checkpoints" / "last.ckpt"
    make_trainer_in(folder, Progress(), Checkpoint(), small_report()).fit(
        make_system(), ckpt_path=last, weights_only=True
    )
    again = json.loads((folder / "metrics.json").read_text())
    assert again["seconds"] > before["seconds"]
    measured = dict.fromkeys(("seconds", "peak_memory_mb", "export_seconds"))
    assert again | measured == before | measured


def test_report_alone_shows_the_scene_under_its_last_schedules(
    make_system: Make, make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").touch()
    make = lambda: make_system(2, {"scene.geometry.density_bias.scale": Linear(8.0, 12.0)})
    finished, alone = make(), make()
    make_trainer(Progress(), Checkpoint(), max_steps=2).fit(finished)
    report = Report(Exporter(resolution=8, texture_size=16), size=8, n_frames=2, n_views=2)
    last = tmp_path / "checkpoints" / "last.ckpt"
    make_trainer(Progress(), Checkpoint(), report, max_steps=2).fit(alone, ckpt_path=last, weights_only=True)
    assert alone.scene.geometry.density_bias.scale == finished.scene.geometry.density_bias.scale == 10.0


def test_page_needs_no_network_and_no_other_file(folder: Path) -> None:
    page = Sources()
    page.feed((folder / "index.html").read_text())
    (viewer,) = page.frames
    inner = Sources()
    inner.feed(viewer)
    assert len(page.found) == 2 and all(source.startswith("data:") for source in page.found)
    assert inner.found == [] and "importScripts" not in viewer and "THREE" in viewer


def test_viewer_has_the_file_inside_and_shows_its_colours_as_they_are(folder: Path) -> None:
    page = Sources()
    page.feed((folder / "index.html").read_text())
    assert base64.b64encode((folder / "mesh.glb").read_bytes()).decode() in page.frames[0]
    assert "renderer.outputEncoding=THREE.sRGBEncoding;renderer.setPixelRatio" in page.frames[0]


def test_page_shows_the_curves_and_escapes_the_config(folder: Path) -> None:
    text = (folder / "index.html").read_text()
    assert text.count("<polyline") >= 4
    assert "prompt: &lt;a red dog&gt;" in text


def test_scene_without_a_surface_fails_after_a_report_that_shows_why(
    make_system: Make, make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").touch()
    system = make_system()
    system.scene.geometry.density_bias = BlobMagic3D(scale=-1000.0, std=1000.0)
    with pytest.raises(EmptySurfaceError, match=r"no mesh .*experiment=export run=\S+ export\.threshold=VALUE"):
        make_trainer(Progress(), Checkpoint(), small_report()).fit(system)
    assert "There is no mesh." in (tmp_path / "index.html").read_text()
    assert (tmp_path / "metrics.json").exists() and not list(tmp_path.rglob("*mesh*"))
    assert iio.imread(tmp_path / "views.png").shape == (32, 4 * 32, 3)


def test_report_looks_from_where_it_is_told(make_system: Make, make_trainer: MakeTrainer, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").touch()
    exporter = Exporter(resolution=8, texture_size=16)
    report = Report(exporter, 1, 16, n_frames=4, n_views=4, elevation=20.0, fov=70.0, distance=2.0)
    system, seen = make_system(max_steps=1), []
    look = system.look
    system.look = lambda cameras: seen.append(cameras) or look(cameras)
    make_trainer(Progress(), Checkpoint(), report, max_steps=1).fit(system)
    assert len(seen) == 8
    for cameras in seen:
        angles = torch.rad2deg(torch.cat([cameras.elevation, cameras.fov_y]))
        assert [*angles.tolist(), cameras.distance.item()] == pytest.approx([20.0, 70.0, 2.0])
