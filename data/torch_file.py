"""What torch.save has written, read without running anything in it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import torch


class ProgramError(ValueError):
    """It names a class or function that is no part of a tensor."""


def load(file: Path, mmap: bool = False) -> object:
    """On the CPU. FileNotFoundError, or ValueError with the end of a sentence "this is a file ..."."""
    try:
        if zipfile.is_zipfile(file):
            check_stored(file)
        return torch.load(file, map_location="cpu", mmap=mmap or None, weights_only=True)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except Exception as error:  # of a damaged file, the unpickler raises whatever it pleases
        if "Unsupported global" in str(error):
            raise ProgramError("that holds more than tensors, which could run as a program") from error
        raise ValueError(f"that cannot be read ({type(error).__name__} in torch.load)") from error


def check_stored(file: Path) -> None:
    """torch compresses nothing: an archive whose members are larger than itself was made to fill the memory."""
    with zipfile.ZipFile(file) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > file.stat().st_size:
        raise ValueError("that unpacks to more than it is")
