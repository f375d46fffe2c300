"""The main job as a user runs it: real processes, the embedded prior, few and small steps."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]
PROMPT = "a red dog wearing a blue hat"
SMALL = [
    "trainer.max_steps=8", "system.batch_size=4", "report.size=32", "report.n_frames=8",
    "export.resolution=24", "export.texture_size=64", "checkpoint.every_seconds=0.01",
]  # fmt: skip


def command(output: Path, *overrides: str) -> list[str]:
    return [sys.executable, "launch.py", f"prompt={PROMPT}", f"output={output}", *SMALL, *overrides]


def launch(output: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(output, *overrides), cwd=ROOT, capture_output=True, text=True, timeout=300)


def folder_of(output: Path) -> Path:
    return output / "text_to_3d" / "a-red-dog-wearing-a-blue-hat-0"


def state(output: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder_of(output) / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    output = tmp_path_factory.mktemp("finished")
    return output, launch(output)


def test_a_run_ends_with_its_folder_and_everything_in_it(finished) -> None:
    output, result = finished
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == str(folder_of(output))
    metrics = json.loads((folder_of(output) / "metrics.json").read_text())
    assert metrics["steps"] == 8 and metrics["held_out"] is True and 0 < metrics["truth_iou"] < 1
    assert {"seconds", "peak_memory_mb", "device", "version", "truth_psnr"} <= metrics.keys()


def test_a_finished_run_is_not_overwritten(finished) -> None:
    output, _ = finished
    again = launch(output)
    assert again.returncode == 2 and "resume=never" in again.stderr and "Traceback" not in again.stderr


def test_a_killed_run_resumes_to_the_same_bits(finished, tmp_path: Path) -> None:
    output, _ = finished
    process = subprocess.Popen(
        command(tmp_path), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    table, deadline = folder_of(tmp_path) / "metrics.csv", time.monotonic() + 200
    while not (table.exists() and len(table.read_text().splitlines()) > 4) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (folder_of(tmp_path) / "metrics.json").exists(), "the run ended before it was killed"
    assert launch(tmp_path).returncode == 0
    whole, resumed = state(output), state(tmp_path)
    assert whole.keys() == resumed.keys() and all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_an_unknown_word_is_answered_with_its_neighbours(tmp_path: Path) -> None:
    wrong = [sys.executable, "launch.py", "prompt=a red dgo", f"output={tmp_path}"]
    result = subprocess.run(wrong, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 2 and "'dgo'" in result.stderr and "dog" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_finished_run_is_refined_and_the_refined_one_stands_alone(finished, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(folder_of(finished[0]), source)
    refine = [sys.executable, "launch.py", "experiment=refine", f"init_from={source}", f"output={tmp_path}", *SMALL]
    refine += ["trainer.max_steps=2", "geometry.resolution=8", "job.start.threshold=1.0"]
    result = subprocess.run(refine, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    folder = tmp_path / "refine" / "a-red-dog-wearing-a-blue-hat-0"
    assert result.stdout.splitlines()[-1] == str(folder) and (folder / "metrics.json").exists()
    shutil.rmtree(source)
    (folder / "metrics.json").unlink()
    again = subprocess.run(refine, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert again.returncode == 0 and (folder / "metrics.json").exists(), again.stderr
