from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from systems.command import status
from systems.command.status import Status, read_status


def test_a_run_says_where_it_is_and_where_it_started(tmp_path: Path) -> None:
    status.begin(tmp_path)
    assert read_status(tmp_path) == Status(started=read_status(tmp_path).started, updated=read_status(tmp_path).updated)
    status.start_at(tmp_path, 0, 100)
    status.saved(tmp_path, 40)
    status.end(tmp_path, status.REQUEUED, reason="Time is over.")
    found = read_status(tmp_path)
    assert (found.state, found.step, found.steps, found.starts) == ("requeued", 40, 100, (0,))
    status.begin(tmp_path)
    status.start_at(tmp_path, 40, 100)
    status.saved(tmp_path, 100)
    status.end(tmp_path, status.FINISHED)
    again = read_status(tmp_path)
    assert (again.state, again.step, again.starts, again.reason, again.code) == ("finished", 100, (0, 40), "", 0)
    assert again.pid == os.getpid() and again.started == found.started


def test_job_of_an_array_is_named_as_scancel_wants_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"):
        monkeypatch.delenv(name, raising=False)
    assert Status().job == ""
    monkeypatch.setenv("SLURM_JOB_ID", "15")
    assert Status().job == "15"
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "12")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    assert Status().job == "12_3"


WRONG = [{"state": [1]}, {"state": "mine"}, {"reason": 5}, {"job": 5}, {"job": "../../x"}, {"job": ".."}, {"step": "1"}]
WRONG += [{"starts": 3}, {"starts": ["x"]}, {"host": None}, {"code": []}]


@pytest.mark.parametrize("text", [None, "", "{", "[]", '"running"', "\x00", "[" * 100_000, *map(json.dumps, WRONG)])
def test_what_cannot_be_read_is_no_status(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "status.json").write_text(text)
    assert read_status(tmp_path) is None


def test_what_a_terminal_would_obey_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "status.json").write_text(json.dumps({"state": "failed", "reason": "no\x1b]0;mine\x07 \ud800\nmemory"}))
    assert read_status(tmp_path).reason == "no]0;mine \nmemory"


def test_status_of_another_version_is_read(tmp_path: Path) -> None:
    (tmp_path / "status.json").write_text('{"state": "finished", "mood": "good"}')
    assert read_status(tmp_path).state == "finished"
