"""Weight files that the user names."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from data import torch_file
from data.errors import UserError


def load_weights(path: str, key: str, wanted: str) -> dict[str, Tensor]:
    """Tensors by name; nothing in the file is run.

    key: under which the user named the file. wanted: what the file should be, and where it is found.
    """
    if not Path(path).is_file():
        raise UserError(f"{key}={path} is no file; it should be {wanted}")
    try:
        weights = torch_file.load(Path(path))
    except ValueError as error:
        raise UserError(f"{key}={path}: this is a file {error}; it should be {wanted}") from error
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise UserError(f"{key}={path} holds no weights by name; it should be {wanted}")
    return weights
