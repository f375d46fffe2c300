"""experiment=count_fronts as a user runs it, on runs that have been."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def launch(*overrides: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "launch.py", *overrides], cwd=ROOT, capture_output=True, text=True, timeout=300
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One whose prompt has a front, one whose has none."""
    output = tmp_path_factory.mktemp("runs")
    little = ["trainer.max_steps=2", "quality=draft", "report.n_frames=8", "report.judges.ring_size=null"]
    little += ["metric.distance=null", "metric.clip=null", "background=solid"]
    for prompt in ("a red dog wearing a blue hat", "a green mushroom"):
        made = launch(f"prompt={prompt}", f"output={output}", *little)
        assert (output / "text_to_3d").exists(), made.stderr
    return output


def figures(runs: Path) -> dict[str, dict[str, object]]:
    return {file.parent.name: json.loads(file.read_text()) for file in runs.glob("text_to_3d/*/metrics.json")}


def test_fronts_are_counted_anew_and_nothing_else_changes(runs: Path, tmp_path: Path) -> None:
    before = figures(runs)
    dog = runs / "text_to_3d" / "a-red-dog-wearing-a-blue-hat-0" / "metrics.json"
    dog.write_text(json.dumps(before["a-red-dog-wearing-a-blue-hat-0"] | {"janus": 1, "janus_front_arcs": 7}))
    done = launch("experiment=count_fronts", f"runs={runs}", f"output={tmp_path}")
    assert done.returncode == 0, done.stderr
    assert figures(runs) == before
    assert "1 of 2 runs counted; 1 are Janus now and were not, or the other way" in done.stdout


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["runs=nowhere"], "runs=nowhere: no finished text-to-3D run is in there"),
        ([f"runs={'a' * 300}"], "no finished text-to-3D run is in there"),
        ([], "runs is missing"),
        (["runs=outputs", "metric.fronts=null"], "counts nothing"),
    ],
)
def test_what_cannot_be_counted_is_told(overrides: list[str], told: str, tmp_path: Path) -> None:
    done = launch("experiment=count_fronts", f"output={tmp_path}", *overrides)
    assert done.returncode == 2
    assert told in done.stderr and done.stderr.count("\n") == 1
