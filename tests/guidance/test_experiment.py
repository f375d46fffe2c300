"""Any multi-view prior in a folder is enough for MVDream's experiments: here a tiny one that knows nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SMALL = [
    "trainer.max_steps=3", "system.schedules.sampler.size.values=[8,16]", "prompt_processor.unknown=warn",
    "geometry.encoding.n_levels=4", "geometry.encoding.log2_table_size=8", "geometry.encoding.finest_resolution=64",
    "renderer.n_samples=16", "renderer.occupancy.resolution=8", "report.size=32", "report.n_frames=8",
    "report.mesh_resolution=24", "renderer.backend=torch", "device=cpu",
]  # fmt: skip


def test_experiments_run_through_both_of_their_phases(prior_folder: Callable[..., Path], tmp_path: Path) -> None:
    """In a process of its own: type checks of tests would refuse the lists that YAML has for tuples."""
    where = [f"prior.path={prior_folder()}", f"output={tmp_path}", f"prompt_processor.cache_dir={tmp_path}"]
    jobs = ["--multirun", "experiment=mvdream,mvdream_shading", "prompt=a red dog"]
    command = [sys.executable, "launch.py", *jobs, *where, *SMALL]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    plain, shaded = (
        json.loads(next((tmp_path / name).rglob("metrics.json")).read_text()) for name in ("mvdream", "mvdream_shading")
    )
    assert plain["steps"] == shaded["steps"] == 3 and plain["loss/guidance"] > 0
    assert "loss/orientation" in shaded and "loss/orientation" not in plain
