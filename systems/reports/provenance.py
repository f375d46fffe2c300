"""What every metrics.json says beside its scores: where it ran, what it took, which version it was."""

from __future__ import annotations

import json
import math
import resource
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import torch

from data.whole_file import write_text
from systems.command import stopwatch

REPOSITORY = Path(__file__).resolve().parents[2]


def provenance(device: torch.device) -> dict[str, str | int | float]:
    return {
        "seconds": round(stopwatch.seconds(), 1),
        "peak_memory_mb": round(_peak_memory_mb()),
        "device": str(device),
        "version": version(),
    }


def write_whole(path: Path, metrics: Mapping[str, object]) -> None:
    """JSON has no numbers that are not finite: null."""
    write_text(path, json.dumps(_finite(metrics), indent=2, allow_nan=False) + "\n")


def _finite(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _peak_memory_mb() -> float:
    """Of the device where the scene lives: of the GPU if there is one, else of this process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss: bytes on macOS, KiB on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def version() -> str:
    """The version in pyproject.toml, and the commit where there is one."""
    number = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    command = ["git", "-C", str(REPOSITORY), "rev-parse", "--short", "HEAD"]
    try:
        commit = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return number
    return f"{number}+{commit}"
