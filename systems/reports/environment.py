"""What a run ran with and where, beyond its configuration: enough to make it again."""

from __future__ import annotations

import platform
import re
import subprocess
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path

from systems.command.processes import slurm_job
from systems.reports.provenance import REPOSITORY, version

PIN = re.compile(r"^([\w-]+)==", re.MULTILINE)


def environment(command: Path) -> dict[str, str | bool | dict[str, str] | None]:
    """command: the file that holds the command line. Of the environment's variables only the number of a SLURM job."""
    return {
        "version": version(),
        "commit": _git("rev-parse", "HEAD"),
        "uncommitted_changes": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": packages(),
        "slurm_job": slurm_job() or None,
        "command": command.read_text().strip() if command.exists() else None,
    }


def packages() -> dict[str, str]:
    """The versions of what requirements.txt pins, as they are installed."""
    found = {}
    for name in PIN.findall((REPOSITORY / "requirements.txt").read_text()):
        try:
            found[name] = installed_version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _git(*command: str) -> str | None:
    """None where this is no repository."""
    try:
        done = subprocess.run(["git", "-C", str(REPOSITORY), *command], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
