"""Priors between the original layout, one file, and diffusers' layout, a folder."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from data.errors import UserError
from data.reading import read_json
from data.whole_file import whole, whole_folder, write_text
from guidance.prior_folder import find_prior
from guidance.weights.conversion import read_original, write_folder, write_original
from guidance.weights.original_file import OriginalCheckpoint
from systems.command.claim import claimed
from systems.command.run_folder import RunFolder
from systems.reports.provenance import provenance, write_whole

log = logging.getLogger(__name__)
SUFFIXES = (".pt", ".ckpt", ".safetensors")


class ConvertPrior:
    """A file in the original layout to a folder that diffusers reads, and that opens faster. No tensor is lost.

    out: the folder to write, which must not exist; None: prior/ in the folder of this run.
    dtype: of the networks; None: as stored.
    """

    def __init__(
        self,
        path: str,
        prediction_type: Literal["auto", "epsilon", "v_prediction"] = "auto",
        out: str | None = None,
        dtype: Literal["float32", "bfloat16", "float16"] | None = None,
    ) -> None:
        self.file = _local(path)
        if not self.file.is_file():
            raise UserError(f"prior.path={path}: this is a folder in diffusers' layout already; it needs no conversion")
        self.prediction_type = prediction_type
        self.out = Path(out).expanduser() if out else None
        self.dtype = getattr(torch, dtype) if dtype else None

    def run(self, folder: RunFolder, checkpoint: Path | None) -> None:
        out = self.out or folder.path / "prior"
        original = OriginalCheckpoint(self.file)
        with claimed(out, "job.out=another"):
            if not _has_written(out, checkpoint):
                with whole_folder(_free(out)) as draft:
                    write_folder(original, draft, self.prediction_type, self.dtype)
                    _note(draft, folder.checkpoint)
        log.info("written: %s", out)
        parts = {"unet": original.unet.tensors, "vae": original.vae.tensors, "text_encoder": original.text.tensors}
        sizes = {name: _size(tensors) for name, tensors in {**parts, "rest": original.rest}.items()}
        write_whole(folder.metrics, {"out": str(out), "networks": sizes, **provenance(torch.device("cpu"))})


class RestoreOriginal:
    """A folder that ConvertPrior has written, perhaps trained since, to one file that the original code loads.

    out: a .pt, .ckpt or .safetensors, which must not exist; None: original.pt in the folder of this run.
    rest: the folder of the conversion, where what the networks here do not use is kept; None: prior.path.
    """

    def __init__(self, path: str, out: str | None = None, rest: str | None = None) -> None:
        self.folder = _local(path)
        if self.folder.is_file():
            raise UserError(
                f"prior.path={path}: this is a file; name a folder that experiment=convert_prior has written"
            )
        self.rest = Path(rest).expanduser() if rest else self.folder
        self.out = Path(out).expanduser() if out else None
        if self.out and self.out.suffix not in SUFFIXES:
            raise UserError(f"job.out={out}: the name of the file must end in {', '.join(SUFFIXES)}")

    def run(self, folder: RunFolder, checkpoint: Path | None) -> None:
        out = self.out or folder.path / "original.pt"
        original = read_original(self.folder, self.rest)
        with claimed(out, "job.out=another"):
            if not _has_written(out, checkpoint):
                with whole(_free(out)) as draft:
                    write_original(draft, original)
                    _note(draft, folder.checkpoint)
        log.info("written: %s", out)
        size = _size(original.tensors)
        write_whole(folder.metrics, {"out": str(out), "checkpoint": size, **provenance(torch.device("cpu"))})


def _local(path: str) -> Path:
    found = find_prior(path)
    if isinstance(found, Path):
        return found
    raise UserError(f"prior.path={path}: there is no such file or folder here; a repository must be fetched first")


def _free(out: Path) -> Path:
    if out.exists():
        raise UserError(f"job.out={out} exists; name another, or remove it")
    return out


def _note(draft: Path, file: Path) -> None:
    """What is written, as it will be known under its name to come: a run may be killed before it can tell."""
    write_text(file, json.dumps(_mark(draft)) + "\n")


def _has_written(out: Path, note: Path | None) -> bool:
    """Whether what stands there is, untouched, what this run has noted."""
    with suppress(ValueError):  # of a file that a user has named, and that is no note
        return note is not None and out.exists() and read_json(note) == _mark(out)
    return False


def _mark(path: Path) -> dict[str, int]:
    """Which a new name does not change."""
    facts = path.stat()
    return {"inode": facts.st_ino, "changed": facts.st_mtime_ns}


def _size(tensors: Mapping[str, Tensor]) -> dict[str, int]:
    return {"tensors": len(tensors), "numbers": sum(tensor.numel() for tensor in tensors.values())}
