"""What went wrong outside the program, as a sentence with a way out, where there is one. Without torch."""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

SMALLER = "a smaller data.size, system.batch_size or renderer.n_samples, or quality=draft"
MEMORY = re.compile(r"out of memory|not enough memory|can't allocate memory|cannot allocate memory|bad_alloc", re.I)
FULL = re.compile(r"no space left on device|disk quota exceeded", re.I)  # safetensors has an error of its own
LITTLE = 2**20  # bytes: a disk with less is full, whatever its error says


def fault(error: BaseException, folder: Path) -> str | None:
    """None for what is a mistake in the program. folder: of the run, whose last checkpoint stands."""
    again = "the same command goes on from the last checkpoint"
    for one in _causes(error):
        if isinstance(one, MemoryError) or (isinstance(one, RuntimeError) and MEMORY.search(str(one))):
            where = "the GPU" if "CUDA" in str(one) else "this machine"
            return f"out of memory: {where} has too little for this run; say {SMALLER}. What was saved is kept."
        if not isinstance(one, OSError) and FULL.search(str(one)):
            return f"the weights cannot be written: the disk is full ({one}). Free some space; {again}."
        if not isinstance(one, OSError):
            continue
        place = one.filename or folder
        if one.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or _is_full(folder):
            return f"{place} cannot be written: the disk is full ({one.strerror}). Free some space; {again}."
        if one.errno in (errno.EROFS, errno.EACCES, errno.EPERM) and _is_below(place, folder):
            return f"{place} cannot be written ({one.strerror}): make {folder} writable; {again}."
        if one.errno in (errno.ENOENT, errno.ESTALE) and not folder.is_dir():
            return f"the output folder {folder} has vanished: bring it back, or run the same command again."
        if one.errno in (errno.EIO, errno.ESTALE, errno.ETIMEDOUT):
            return f"{place} cannot be reached ({one.strerror}): look after the disk or network; then {again}."
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """What led to it, the first cause last."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < LITTLE
    except OSError:
        return False


def _is_below(place: str | bytes | int | Path, folder: Path) -> bool:
    return isinstance(place, str | Path) and Path(place).absolute().is_relative_to(folder.absolute())
