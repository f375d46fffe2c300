"""launch.py for many command lines in one process, whose imports they share: a table in JSON per line, in and out."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    error: str


class Launches:
    """Starts another process where a launch has killed the last one."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None

    def launch(self, arguments: Sequence[str], environment: Mapping[str, str]) -> Said:
        if self.process is None or self.process.poll() is not None:
            command = [sys.executable, str(Path(__file__)), str(ROOT)]
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps({"arguments": list(arguments), "environment": dict(environment)}) + "\n")
        self.process.stdin.flush()
        if reply := self.process.stdout.readline():
            return Said(**json.loads(reply))
        return Said(self.process.wait(), "", "")

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.communicate()


def serve() -> None:
    sys.path.insert(0, sys.argv[1])
    from hydra.core.global_hydra import GlobalHydra

    import launch

    for line in sys.stdin:
        asked = json.loads(line)
        sys.argv = ["launch.py", *asked["arguments"]]
        os.environ.update(asked["environment"])
        GlobalHydra.instance().clear()
        out, error = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(error):
            try:
                code = launch.main()
            except SystemExit as end:
                code = end.code
        print(json.dumps({"code": code, "out": out.getvalue(), "error": error.getvalue()}), flush=True)


if __name__ == "__main__":
    serve()
