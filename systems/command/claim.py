"""A run folder belongs to one process at a time. Without torch."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from data.errors import UserError
from systems.command.processes import slurm_job

BEAT = 5.0  # seconds
DEAD_AFTER = 60.0  # without a beat, of a process on another machine


@dataclass(frozen=True)
class Holder:
    """Who holds a folder. began: of the process, in the kernel's ticks, since process numbers are used again; job,
    restarts: of SLURM, which starts a job anew only where it has ended."""

    host: str
    pid: int
    began: int
    job: str
    restarts: int


@contextmanager
def claimed(folder: Path, instead: str = "name=another") -> Iterator[None]:
    """UserError if a living process has the folder already. instead: what to say for one of the run's own."""
    own, lock = _myself(), _lock(folder)
    lock.parent.mkdir(parents=True, exist_ok=True)
    with _alone(lock) as file:
        if (other := _holder(file)) and other != own and _lives(other, lock, own):
            raise UserError(
                f"{folder} is in use by process {other.pid} on {other.host}{_of(other.job)}: wait until it ends, stop"
                f" it, or say {instead} for a folder of this run's own"
            )
        _write(file, own)
    over = threading.Event()
    beat = threading.Thread(target=_beat, args=(lock, over), daemon=True)
    beat.start()
    try:
        yield
    finally:
        over.set()
        beat.join()
        with suppress(OSError), _alone(lock) as file:
            if _holder(file) == own:
                lock.unlink()


def is_held(folder: Path) -> bool:
    """Whether a process works on the folder now."""
    lock = _lock(folder)
    try:
        with lock.open() as file:
            holder = _holder(file)
        return holder is not None and _lives(holder, lock, None)
    except OSError:  # its holder has let go of it meanwhile
        return False


def _lock(folder: Path) -> Path:
    """Beside the folder, which a run may replace."""
    return folder.with_name(f".{folder.name}.lock")


@contextmanager
def _alone(lock: Path):
    """The file, while no other process judges or takes it, on file systems that know such a thing."""
    while True:
        with lock.open("a+") as file:
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX)
            if not _is_still(file.fileno(), lock):  # its holder has let go of it meanwhile
                continue
            yield file
            return


def _is_still(descriptor: int, lock: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), lock.stat())
    except FileNotFoundError:
        return False


def _holder(file) -> Holder | None:
    file.seek(0)
    try:
        return Holder(**json.loads(file.read()))
    except (ValueError, TypeError):
        return None


def _write(file, holder: Holder) -> None:
    file.truncate(0)
    file.write(json.dumps(asdict(holder)))
    file.flush()


def _myself() -> Holder:
    restarts = int(os.environ.get("SLURM_RESTART_COUNT", 0))
    return Holder(socket.gethostname(), os.getpid(), _began(os.getpid()) or 0, slurm_job(), restarts)


def _lives(holder: Holder, lock: Path, judge: Holder | None) -> bool:
    if judge and holder.job and holder.job == judge.job and holder.restarts < judge.restarts:
        return False
    if holder.host == socket.gethostname():
        return _began(holder.pid) == holder.began
    return _now(lock) - lock.stat().st_mtime < DEAD_AFTER


def _began(pid: int) -> int | None:
    """None where there is no such process, or only what is left of one that nobody has asked for yet."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] in "ZX" else int(fields[19])
    except FileNotFoundError:
        pass
    except OSError:
        return None
    if Path("/proc/self").exists():
        return None
    try:  # where there is no /proc
        os.kill(pid, 0)
    except OSError as error:
        return 0 if isinstance(error, PermissionError) else None
    return 0


def _now(beside: Path) -> float:
    """By the clock that dates the files there, which may be another machine's."""
    probe = beside.with_name(f"{beside.name}-{os.getpid()}")
    try:
        probe.touch()
        return probe.stat().st_mtime
    except OSError:
        return time.time()
    finally:
        with suppress(OSError):
            probe.unlink()


def _beat(lock: Path, over: threading.Event) -> None:
    while not over.wait(BEAT):
        with suppress(OSError):  # a folder that vanished is told by who writes to it
            os.utime(lock)


def _of(job: str) -> str:
    return f" (SLURM job {job})" if job else ""
