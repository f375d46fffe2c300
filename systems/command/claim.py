"""A run folder belongs to one process at a time. Without torch."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_type_hints

from data.errors import UserError
from data.reading import parse_table, read_text
from systems.command.alone import alone
from systems.command.ending import WENT_WRONG, complain
from systems.command.processes import slurm_job, slurm_restarts

BEAT = 5.0  # seconds
DEAD_AFTER = 60.0  # without a beat, of a process on another machine
LARGEST = 2**16  # bytes of a lock


@dataclass(frozen=True)
class Holder:
    """Who holds a folder. space: where its number means that process; began: of the process, in the kernel's ticks,
    since process numbers are used again; job, restarts: of SLURM, which starts a job anew only where it has ended."""

    host: str
    space: str
    pid: int
    began: int
    job: str
    restarts: int


KINDS = get_type_hints(Holder)


@contextmanager
def claimed(folder: Path, instead: str = "name=another") -> Iterator[None]:
    """UserError if a living process has the folder already. instead: what to say for one of the run's own."""
    own, lock = _myself(), _lock(folder)
    try:
        _take(folder, lock, own, instead)
    except OSError as error:
        raise UserError(
            f"{error.filename or lock} cannot be written ({error.strerror}): make {lock.parent} writable, or say"
            " output=FOLDER for another place"
        ) from None
    over = threading.Event()
    beat = threading.Thread(target=_beat, args=(folder, lock, own, over), daemon=True)
    beat.start()
    try:
        yield
    finally:
        over.set()
        beat.join()
        with suppress(OSError), alone(lock) as file:
            if _holder(file) == own:
                lock.unlink()


def _take(folder: Path, lock: Path, own: Holder, instead: str) -> None:
    lock.parent.mkdir(parents=True, exist_ok=True)
    with alone(lock) as file:
        if (other := _holder(file)) and other != own and _lives(other, lock, own):
            raise UserError(
                f"{folder} is in use by process {other.pid} on {other.host}{_of(other.job)}: wait until it ends, stop"
                f" it, or say {instead} for a folder of this run's own"
            )
        _write(file, own)


def is_held(folder: Path) -> bool:
    """Whether a process works on the folder now."""
    lock = _lock(folder)
    try:
        holder = _understood(read_text(lock, LARGEST))
        return holder is not None and _lives(holder, lock, None)
    except (OSError, ValueError):  # its holder has let go of it meanwhile, or it is none
        return False


def _lock(folder: Path) -> Path:
    """Beside the folder, which a run may replace."""
    return folder.with_name(f".{folder.name}.lock")


def _holder(file) -> Holder | None:
    file.seek(0)
    return _understood(file.read(LARGEST))


def _understood(text: str) -> Holder | None:
    """None for what no process writes."""
    try:
        found = parse_table(text)
        holder = Holder(**found)
    except (ValueError, TypeError):
        return None
    return holder if all(isinstance(found[name], kind) for name, kind in KINDS.items()) else None


def _write(file, holder: Holder) -> None:
    file.truncate(0)
    file.write(json.dumps(asdict(holder)))
    file.flush()


def _myself() -> Holder:
    pid = os.getpid()
    return Holder(socket.gethostname(), _space(), pid, _began(pid) or 0, slurm_job(), slurm_restarts())


def _space() -> str:
    """Containers and copies of a machine may have the same name, and number their processes alike."""
    with suppress(OSError):
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {os.readlink('/proc/self/ns/pid')}"
    return ""


def _lives(holder: Holder, lock: Path, judge: Holder | None) -> bool:
    if judge and holder.job and holder.job == judge.job and holder.restarts < judge.restarts:
        return False
    if (holder.host, holder.space) == (socket.gethostname(), _space()):
        return _began(holder.pid) == holder.began
    return _now(lock) - lock.stat().st_mtime < DEAD_AFTER


def _began(pid: int) -> int | None:
    """None where there is no such process, or only what is left of one that nobody has asked for yet."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] in "ZX" else int(fields[19])
    except FileNotFoundError:
        pass
    except (OSError, ValueError):
        return None
    if Path("/proc/self").exists():
        return None
    try:  # where there is no /proc
        os.kill(pid, 0)
    except (OSError, OverflowError) as error:
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


def _beat(folder: Path, lock: Path, own: Holder, over: threading.Event) -> None:
    while not over.wait(BEAT):
        with suppress(OSError), lock.open() as file:  # a folder that vanished is told by who writes to it
            other = _holder(file)
            if other not in (own, None):
                _give_up(folder, other)
            os.utime(lock)


def _give_up(folder: Path, other: Holder) -> None:
    """This process stood still for so long that it was taken for dead. It must not write there any more."""
    complain(f"{folder} was taken over by process {other.pid} on {other.host}{_of(other.job)}: this one ends, unsaved")
    os._exit(WENT_WRONG)


def _of(job: str) -> str:
    return f" (SLURM job {job})" if job else ""
