"""A process that ends with the one that started it, and not before it is told to."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from systems.command.parent import end_with_parent


def start(command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """What it says is added to the log. Ctrl-C does not reach it: who started it tells it to stop, once."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as said:
        return subprocess.Popen(
            command, stdout=said, stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=end_with_parent
        )
