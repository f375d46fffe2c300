"""What several processes are worth: python -m benchmarks.processes [--steps 40] [--ways text_to_3d train_prior]

Seconds of a step of one process with one thread, of two with one each, and of one with two, each as a user runs it,
one after the other. The first half of the steps, in which kernels are compiled, is left out.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
SETUPS = {"1 process": (1, 1), "2 processes": (2, 1), "1 process, 2 threads": (1, 2)}  # processes, threads of each
WAYS = {
    "text_to_3d": ["prompt=a red dog wearing a blue hat", "report.every=100000", "system.schedules.sampler.size=null"],
    "train_prior": ["experiment=table1", "system.n_objects=32", "held_out_loss.every=100000"],
}


def seconds_per_step(way: str, processes: int, threads: int, steps: int, folder: Path) -> float:
    """Without a report, and with pictures of one size."""
    output = folder / f"{way}-{processes}-{threads}"
    words = [*WAYS[way], f"output={output}", f"trainer.max_steps={steps}", f"trainer.devices={processes}", "device=cpu"]
    words += ["checkpoint.every_seconds=100000.0", "trainer.callbacks=[${progress},${checkpoint}]"]
    if way == "train_prior":
        words += [f"system.out={output / 'prior'}", f"system.cache_path={folder / 'latents.pt'}"]
    number = str(threads)
    places = os.environ | {"OMP_NUM_THREADS": number, "NUMBA_NUM_THREADS": number, "HF_HUB_OFFLINE": "1"}
    subprocess.run([sys.executable, "launch.py", *words], cwd=ROOT, env=places, check=True, stdout=subprocess.DEVNULL)
    [table] = output.rglob("metrics.csv")
    with table.open() as file:
        ends = [float(row["seconds"]) for row in csv.DictReader(file)]
    return statistics.median(late - early for early, late in itertools.pairwise(ends[steps // 2 :]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    args = parser.parse_args()
    table = Table("", *SETUPS, title=f"seconds of a step (speed-up), {args.steps} steps, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        for way in args.ways:
            took = [seconds_per_step(way, *setup, args.steps, Path(folder)) for setup in SETUPS.values()]
            table.add_row(way, *[f"{one:.3f} ({took[0] / one:.2f})" for one in took])
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
