"""The pictures of one subject, in a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from data.errors import UserError
from data.pictures import read_cutout
from data.subject_files import subject_files
from data.toybox.raycast import BACKGROUND


@dataclass(frozen=True)
class SubjectPictures:
    """Cut out, if all are transparent around the subject; then they can stand before anything."""

    colors: Float[Tensor, "n h w 3"]  # in [0, 1], times the coverage
    coverage: Float[Tensor, "n h w 1"]

    @property
    def are_cut_out(self) -> bool:
        return bool((self.coverage.amin(dim=(1, 2, 3)) < 0.5).all())

    @property
    def before_grey(self) -> Float[Tensor, "n h w 3"]:
        return before(self.colors, self.coverage, torch.full((len(self.colors), 3), BACKGROUND))


def before(
    colors: Float[Tensor, "n h w 3"], coverage: Float[Tensor, "n h w 1"], background: Float[Tensor, "n 3"]
) -> Float[Tensor, "n h w 3"]:
    return colors + (1 - coverage) * background[:, None, None]


def read_subject(folder: str, size: int) -> SubjectPictures:
    """Each scaled until its shorter side fits, and cut to the middle square."""
    rgba = torch.stack([_read(file, folder, size) for file in subject_files(folder)]).float() / 255
    return SubjectPictures(rgba[..., :3] * rgba[..., 3:], rgba[..., 3:])


def _read(file: Path, folder: str, size: int) -> Tensor:
    try:
        return read_cutout(file, size)
    except (OSError, ValueError) as error:
        raise UserError(f"subject.pictures={folder}: {file.name} cannot be read ({error}); leave it out") from error
