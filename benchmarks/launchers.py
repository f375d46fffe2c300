"""What a launcher costs beyond its runs' work, and what it leaves behind: python -m benchmarks.launchers --runs 10"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TINY = ["experiment=sample", "sampler.steps=1", "job.n_samples=1", "prompt=a red dog"]


@dataclass(frozen=True)
class Cost:
    """seconds: of the command. work: of its runs, as each has measured it. processes, files: that are left."""

    seconds: float
    work: float
    finished: int
    processes: int
    files: int

    def row(self, name: str, n: int, workers: int) -> str:
        overhead = (self.seconds - self.work / workers) / n
        cells = [self.seconds, self.work / n, overhead]
        numbers = " | ".join(f"{cell:.2f}" for cell in cells)
        return f"| {name} | {self.finished} of {n} | {numbers} | {self.processes} | {self.files} |"


def measure(n: int, *launcher: str) -> Cost:
    with tempfile.TemporaryDirectory() as place:
        temp, output = Path(place, "temp"), Path(place, "outputs")
        temp.mkdir()
        env = os.environ | {"TMPDIR": str(temp), "MARK": place, "HF_HUB_OFFLINE": "1", "WANDB_MODE": "offline"}
        seeds = f"seed=range(0,{n})"
        command = [sys.executable, "launch.py", "--multirun", *TINY, seeds, f"output={output}", *launcher]
        start = time.monotonic()
        subprocess.run(command, cwd=ROOT, env=env, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        seconds = time.monotonic() - start
        time.sleep(1.0)
        done = [json.loads(file.read_text())["seconds"] for file in output.rglob("metrics.json")]
        return Cost(seconds, sum(done), len(done), _processes(f"MARK={place}"), len(list(temp.rglob("*"))))


def _processes(mark: str) -> int:
    """That still run with this in their environment."""
    n = 0
    for file in Path("/proc").glob("[0-9]*/environ"):
        try:
            n += mark.encode() in file.read_bytes().split(b"\0")
        except OSError:  # it has just ended, or is nobody's business
            continue
    return n


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    print("| launcher | finished | seconds | work of a run (s) | more, a run (s) | processes left | files left |")
    print("|---|---|---|---|---|---|---|")
    print(measure(given.runs).row("local", given.runs, 1), flush=True)
    joblib = measure(given.runs, "launcher=joblib", f"launcher.jobs={given.workers}")
    print(joblib.row(f"joblib, {given.workers} workers", given.runs, given.workers))


if __name__ == "__main__":
    main()
