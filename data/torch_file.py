"""What torch.save has written, read without running anything in it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import torch


class DamagedError(ValueError):
    """By what can be told without torch."""


class ProgramError(ValueError):
    """It names a class or function that is no part of a tensor."""


def load(file: Path, mmap: bool = False) -> object:
    """On the CPU. FileNotFoundError, or ValueError with the end of a sentence "this is a file ..."."""
    try:
        if zipfile.is_zipfile(file):
            _check_archive(file, whole=not mmap)
        return torch.load(file, map_location="cpu", mmap=mmap or None, weights_only=True)
    except (FileNotFoundError, NotADirectoryError, DamagedError):
        raise
    except Exception as error:  # of a damaged file, the unpickler raises whatever it pleases
        if "Unsupported global" in str(error):
            raise ProgramError("that holds more than tensors, which could run as a program") from error
        raise ValueError(f"that cannot be read ({type(error).__name__} in torch.load)") from error


def _check_archive(file: Path, whole: bool) -> None:
    """torch compresses nothing: an archive whose members are larger than itself was made to fill the memory.

    whole: reads all of it, to see by its checksums whether it is damaged, which torch does not.
    """
    with zipfile.ZipFile(file) as archive:
        size = sum(member.file_size for member in archive.infolist())
        if size > file.stat().st_size:
            raise DamagedError("that unpacks to more than it is")
        if whole and (damaged := archive.testzip()):
            raise DamagedError(f"that is damaged ({damaged})")
