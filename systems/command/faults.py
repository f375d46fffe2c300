"""What went wrong outside the program, as a sentence with a way out, where there is one. Without torch."""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

SMALLER = "a smaller data.size, system.batch_size or renderer.n_samples, or quality=draft"
MEMORY = re.compile(
    r"out of memory|not enough memory|can't allocate memory|cannot allocate memory|bad_alloc|ALLOC_FAILED", re.I
)
# As the operating system says it, whoever tells; and torch's archives, which do not say why
WRITING = re.compile(r"no space left on device|disk quota exceeded|inline_container\.cc.* unexpected pos", re.S | re.I)
LITTLE = 2**20  # bytes: a disk with less is full, whatever its error says


def fault(error: BaseException, folder: Path) -> str | None:
    """None for what is a mistake in the program. folder: of the run, whose last checkpoint stands."""
    again = "the same command goes on from the last checkpoint"
    for one in causes(error):
        if isinstance(one, MemoryError) or (isinstance(one, RuntimeError) and MEMORY.search(str(one))):
            where = "the GPU" if "CUDA" in str(one) else "this machine"
            return f"out of memory: {where} has too little for this run; say {SMALLER}. What was saved is kept."
        place = (one.filename if isinstance(one, OSError) else "a file") or folder
        if _says_full(one, folder):
            reason = one.strerror if isinstance(one, OSError) else " ".join(str(one).split())[:200]
            return f"{place} cannot be written: the disk is full ({reason}). Free some space; {again}."
        if not isinstance(one, OSError):
            continue
        if one.errno in (errno.EROFS, errno.EACCES, errno.EPERM) and _is_below(place, folder):
            return f"{place} cannot be written ({one.strerror}): make {folder} writable; {again}."
        if one.errno in (errno.ENOENT, errno.ESTALE) and not folder.is_dir():
            return f"the output folder {folder} has vanished: bring it back, or run the same command again."
        if one.errno in (errno.EIO, errno.ESTALE, errno.ETIMEDOUT):
            return f"{place} cannot be reached ({one.strerror}): look after the disk or network; then {again}."
    return None


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """What led to it, the first cause last."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _says_full(error: BaseException, folder: Path) -> bool:
    by_number = isinstance(error, OSError) and (error.errno in (errno.EDQUOT, errno.EFBIG) or _is_full(folder))
    return by_number or bool(WRITING.search(str(error)))


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < LITTLE
    except OSError:
        return False


def _is_below(place: str | bytes | int | Path, folder: Path) -> bool:
    return isinstance(place, str | Path) and Path(place).absolute().is_relative_to(folder.absolute())
