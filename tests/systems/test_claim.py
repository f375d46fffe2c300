from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data.errors import UserError
from systems.command import claim
from systems.command.claim import claimed, is_held


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "a-dog-0"


def leave_lock(folder: Path, **facts: object) -> Path:
    """Of a process of this machine that has ended, but for what is said otherwise."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    lock = folder.with_name(f".{folder.name}.lock")
    place = {"host": socket.gethostname(), "space": claim._space()}
    holder = place | {"pid": ended.pid, "began": 1, "job": "", "restarts": 0}
    lock.write_text(json.dumps(holder | facts))
    return lock


def elsewhere(folder: Path, seconds: float, **facts: object) -> Path:
    """Of a process on another machine, whose last beat was so long ago."""
    lock = leave_lock(folder, host="another", **facts)
    os.utime(lock, (time.time() - seconds,) * 2)
    return lock


def hold(folder: Path) -> subprocess.Popen[str]:
    program = "import sys, pathlib; from systems.command import claim; from systems.command.claim import claimed\n"
    program += "claim.BEAT = 0.05\nwith claimed(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", program, str(folder)]
    pipe = subprocess.PIPE
    holder = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    assert holder.stdout and holder.stdout.readline() == "held\n"
    return holder


def test_second_process_is_refused_until_the_first_has_ended(folder: Path) -> None:
    first = hold(folder)
    assert is_held(folder)
    with pytest.raises(UserError, match=f"in use by process {first.pid} .* name=another"), claimed(folder):
        pass
    first.communicate()
    assert not is_held(folder)
    with claimed(folder):
        assert is_held(folder)
    assert list(folder.parent.iterdir()) == []


def test_what_a_killed_process_held_is_free_at_once(folder: Path) -> None:
    first = hold(folder)
    first.kill()
    first.wait()
    assert folder.with_name(".a-dog-0.lock").exists() and not is_held(folder)
    with claimed(folder):
        pass


def test_process_number_that_is_used_again_holds_nothing(folder: Path) -> None:
    leave_lock(folder, pid=os.getpid())
    assert not is_held(folder)


@pytest.mark.parametrize(("seconds", "held"), [(5, True), (50, True), (70, False)])
def test_process_elsewhere_holds_a_folder_while_it_beats(folder: Path, seconds: float, held: bool) -> None:
    elsewhere(folder, seconds)
    assert is_held(folder) is held


def test_job_that_is_started_again_takes_what_it_had(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere(folder, 5, job="12_3", restarts=0)
    monkeypatch.setenv("SLURM_JOB_ID", "14")
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "12")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    with pytest.raises(UserError, match=r"on another \(SLURM job 12_3\)"), claimed(folder):
        pass
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    with claimed(folder):
        pass


def test_holder_beats(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim, "BEAT", 0.01)
    with claimed(folder):
        lock = folder.with_name(".a-dog-0.lock")
        os.utime(lock, (0, 0))
        deadline = time.monotonic() + 10
        while lock.stat().st_mtime < 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert lock.stat().st_mtime > 1


def test_of_many_that_want_a_free_folder_one_gets_it(folder: Path) -> None:
    leave_lock(folder)
    program = "import sys, time, pathlib; from systems.command.claim import claimed\n"
    program += "with claimed(pathlib.Path(sys.argv[1])): print('held', flush=True); time.sleep(3)"
    command = [sys.executable, "-c", program, str(folder)]
    many = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) for _ in range(6)]
    said = [one.communicate()[0] for one in many]
    assert said.count("held\n") == 1


@pytest.mark.parametrize("text", ["{", "[1]", "[" * 100_000, " " * 10**6 + "{}"])
def test_lock_that_says_nothing_holds_nothing(folder: Path, text: str) -> None:
    folder.with_name(".a-dog-0.lock").write_text(text)
    assert not is_held(folder)
    with claimed(folder):
        pass


@pytest.mark.parametrize("pid", ["\0", [1], None, -1, 10**400])
def test_process_that_there_cannot_be_holds_nothing(folder: Path, pid: object) -> None:
    leave_lock(folder, pid=pid)
    assert not is_held(folder)


def test_lock_that_is_no_file_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder.with_name(".a-dog-0.lock"))
    assert not is_held(folder)


@pytest.mark.parametrize(("seconds", "held"), [(5, True), (70, False)])
def test_container_of_the_same_name_is_another_machine(folder: Path, seconds: float, held: bool) -> None:
    """Its processes have numbers of their own."""
    lock = leave_lock(folder, space="another")
    os.utime(lock, (time.time() - seconds,) * 2)
    assert is_held(folder) is held


def test_who_stood_still_until_another_took_the_folder_writes_no_more(folder: Path) -> None:
    first = hold(folder)
    lock = leave_lock(folder, pid=123456)
    assert first.wait(timeout=20) == 1 and first.stderr
    assert "was taken over by process 123456" in first.stderr.read()
    assert json.loads(lock.read_text())["pid"] == 123456


def test_folder_that_cannot_be_locked_is_told(folder: Path) -> None:
    folder.with_name(".a-dog-0.lock").mkdir()
    with (
        pytest.raises(UserError, match=r"a-dog-0.lock cannot be written \(Is a directory\): make .* writable"),
        claimed(folder),
    ):
        pass
