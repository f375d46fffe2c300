"""The pictures of one subject, in a folder."""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from data.errors import UserError
from data.pictures import read_picture
from data.subject_files import subject_files


def read_subject(folder: str, size: int) -> Float[Tensor, "n size size 3"]:
    """In [0, 1], each scaled until its shorter side fits, and cut to the middle square."""
    return torch.stack([_read(file, folder, size) for file in subject_files(folder)]).float() / 255


def _read(file: Path, folder: str, size: int) -> Tensor:
    try:
        return read_picture(file, size)
    except (OSError, ValueError) as error:
        raise UserError(f"subject.pictures={folder}: {file.name} cannot be read ({error}); leave it out") from error
