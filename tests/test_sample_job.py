"""experiment=sample as a user runs it: real processes, the embedded prior, few steps."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROMPT = "a red dog wearing a blue hat"


def command(output: Path, *overrides: str) -> list[str]:
    few = ["sampler.steps=2", "job.n_samples=12"]
    return [sys.executable, "launch.py", "experiment=sample", f"prompt={PROMPT}", f"output={output}", *few, *overrides]


def launch(output: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(output, *overrides), cwd=ROOT, capture_output=True, text=True, timeout=300)


def folder_of(output: Path) -> Path:
    return output / "sample" / "a-red-dog-wearing-a-blue-hat-0"


def pictures(output: Path) -> dict[str, bytes]:
    """Without drafts, which go."""
    return {file.name: file.read_bytes() for file in folder_of(output).rglob("[!.]*.png")}


def test_an_interrupted_run_says_how_to_continue_and_ends_with_the_same_bytes(tmp_path: Path) -> None:
    whole = launch(tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    assert whole.stdout.splitlines()[-1] == str(folder_of(tmp_path / "whole"))

    process = subprocess.Popen(command(tmp_path), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 200
    while not pictures(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=200)
    assert process.returncode == 130, stderr
    assert "Continue with:\npython launch.py experiment=sample" in stdout and "Traceback" not in stderr
    kept = pictures(tmp_path)
    assert 0 < len(kept) < 48

    assert launch(tmp_path).returncode == 0
    assert pictures(tmp_path) == pictures(tmp_path / "whole") and kept.items() <= pictures(tmp_path).items()
    manifests = [folder_of(output) / "manifest.json" for output in (tmp_path, tmp_path / "whole")]
    assert manifests[0].read_bytes() == manifests[1].read_bytes()
    assert len(json.loads(manifests[0].read_text())["images"]) == 48

    again = launch(tmp_path)
    assert again.returncode == 2 and "resume=never" in again.stderr
