"""Priors between the original layout, one file, and diffusers' layout, a folder."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from data.errors import UserError
from data.whole_file import whole
from guidance.prior_folder import find_prior
from guidance.weights.conversion import read_original, write_folder, write_original
from guidance.weights.original_file import OriginalCheckpoint
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
        out = _free(self.out or folder.path / "prior")
        original = OriginalCheckpoint(self.file)
        draft = out.with_name(out.name + ".draft")
        shutil.rmtree(draft, ignore_errors=True)
        write_folder(original, draft, self.prediction_type, self.dtype)
        os.replace(draft, out)
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
        out = _free(self.out or folder.path / "original.pt")
        original = read_original(self.folder, self.rest)
        with whole(out) as draft:
            write_original(draft, original)
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
    out.parent.mkdir(parents=True, exist_ok=True)
    return out


def _size(tensors: Mapping[str, Tensor]) -> dict[str, int]:
    return {"tensors": len(tensors), "numbers": sum(tensor.numel() for tensor in tensors.values())}
