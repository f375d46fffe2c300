from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from systems.evaluation.child_process import start

SLEEP = "import time; time.sleep(60)"


def test_what_it_says_is_added_to_its_log(tmp_path: Path) -> None:
    log = tmp_path / "new" / "it.log"
    for word in ("one", "two"):
        start([sys.executable, "-c", f"print('{word}')"], log).wait()
    assert log.read_text() == "one\ntwo\n"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a killed parent leaves its child running")
def test_it_does_not_outlive_who_started_it(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from systems.evaluation.child_process import start;"
        f"print(start([sys.executable, '-c', '{SLEEP}'], Path(sys.argv[1])).pid, flush=True); time.sleep(60)"
    )
    command, root = [sys.executable, "-c", code, str(tmp_path / "log")], Path(__file__).parents[2]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert _runs(child)
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 20
    while _runs(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(child)


def _runs(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()
