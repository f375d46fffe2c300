"""Any multi-view prior in a folder is enough for MVDream's experiments: here a tiny one that knows nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SMALL = [
    "trainer.max_steps=3", "system.schedules.sampler.size.values=[8,16]", "prompt_processor.unknown=warn",
    "geometry.encoding.n_levels=4", "geometry.encoding.log2_table_size=8", "geometry.encoding.finest_resolution=64",
    "renderer.n_samples=16", "renderer.occupancy.resolution=8", "report.size=32", "report.n_frames=8",
    "report.mesh_resolution=24", "device=cpu",
]  # fmt: skip


@pytest.mark.parametrize("name", ["mvdream", "mvdream_shading"])
def test_experiment_runs_through_both_of_its_phases(
    name: str, prior_folder: Callable[..., Path], tmp_path: Path
) -> None:
    where = [f"prior.path={prior_folder()}", f"output={tmp_path}", f"prompt_processor.cache_dir={tmp_path}"]
    command = [sys.executable, "launch.py", f"experiment={name}", "prompt=a red dog", *where, *SMALL]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / name / "a-red-dog-0" / "metrics.json").read_text())
    assert metrics["steps"] == 3 and metrics["loss/guidance"] > 0
    assert ("loss/orientation" in metrics) == (name == "mvdream_shading")
