"""The full-size experiments on tiny priors that know nothing: through the very code, from the command line to files."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SMALL = [
    "trainer.max_steps=5", "prompt_processor.unknown=warn", "report.size=32", "report.n_frames=8",
    "export.resolution=24", "export.texture_size=64", "renderer.backend=torch", "device=cpu",
]  # fmt: skip
GRID = ["encoding.n_levels=4", "encoding.log2_table_size=8", "encoding.finest_resolution=64"]
VOLUME = [*(f"geometry.{key}" for key in GRID), "renderer.n_samples=16", "renderer.occupancy.resolution=8"]
SURFACE = [*(f"geometry.field.{key}" for key in GRID), "renderer=dmtet", "geometry.resolution=8"]
SIZES = "system.schedules.sampler.size.values=[8,16]"


@pytest.fixture
def metrics(tmp_path: Path) -> Callable[..., dict[str, float]]:
    """Runs an experiment in a process of its own (type checks of tests would refuse the lists YAML has for tuples)."""

    def run(name: str, prior: Path, *more: str, scene: list[str] = VOLUME) -> dict[str, float]:
        where = [f"prior.path={prior}", f"output={tmp_path}", f"prompt_processor.cache_dir={tmp_path / 'cache'}"]
        command = [sys.executable, "launch.py", f"experiment={name}", "prompt=a red dog", *where, *SMALL, *scene, *more]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return json.loads(next((tmp_path / name).rglob("metrics.json")).read_text())

    return run


def test_mvdream_runs_on_its_original_file(metrics, original) -> None:
    seen = metrics("mvdream", original("sd21-4view.pt"), SIZES, "prior.image_size=64")
    assert seen["steps"] == 5 and seen["loss/guidance"] > 0
    assert "loss/orientation" not in seen


def test_mvdream_with_shading_runs_on_a_folder(metrics, prior_folder) -> None:
    seen = metrics("mvdream_shading", prior_folder(), SIZES)
    assert seen["steps"] == 5 and "loss/orientation" in seen


def test_dreamfusion_runs_on_a_single_file_of_stable_diffusion(metrics, original) -> None:
    bands = "system.schedules.scene.geometry.encoding.active_levels.values=[1,2,2,2,3,3,3,4,4]"
    seen = metrics("dreamfusion_sd", original("sd15.ckpt"), "prior.image_size=64", "data.size=16", bands)
    assert seen["steps"] == 5 and "loss/orientation" in seen


def test_prolificdreamer_runs_with_its_critic(metrics, prior_folder) -> None:
    seen = metrics("prolificdreamer", prior_folder(camera=False), SIZES)
    assert seen["steps"] == 5 and seen["loss/critic"] > 0


def test_mvdream_rasterises_and_is_refined(metrics, prior_folder, tmp_path: Path) -> None:
    seen = metrics("mvdream", prior_folder(), SIZES, scene=SURFACE)
    assert seen["loss/guidance"] > 0 and seen["loss/normal_consistency"] > 0
    (run,) = (tmp_path / "mvdream").iterdir()
    tiny = ["geometry.resolution=8", "data.size=16", "job.likeness.steps=3", "job.likeness.size=16"]
    seen = metrics("mvdream_refine", prior_folder(), f"init_from={run}", scene=tiny)
    assert seen["steps"] == 5 and seen["loss/laplacian"] > 0
