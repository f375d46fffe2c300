"""Files of tensors, opened without reading them: the tensors are views of the file and come to memory when used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from data import torch_file
from guidance.weights.file_format import AGAIN, file_format

WRAPPER = "state_dict"


@dataclass(frozen=True)
class TensorFile:
    tensors: dict[str, Tensor]
    wrapped: bool = False  # under the one key `state_dict`, as in the .ckpt of Stable Diffusion


def open_tensors(file: Path) -> TensorFile:
    """Raises ValueError with the end of a sentence "this is a file ..."."""
    kind = file_format(file)
    if kind == "safetensors":
        try:
            with safe_open(file, "pt") as opened:
                return TensorFile({name: opened.get_tensor(name) for name in opened.keys()})  # noqa: SIM118
        except SafetensorError as error:
            raise ValueError(f"that is damaged ({str(error)[:200]}){AGAIN}") from error
    try:
        content = torch_file.load(file, mmap=kind == "torch")
    except torch_file.ProgramError as error:
        raise ValueError(f"{error}; take the .safetensors of the same model") from error
    except ValueError as error:
        raise ValueError(f"{error}{AGAIN}") from error
    if not isinstance(content, dict):
        raise ValueError(f"that holds a {type(content).__name__}, not weights by name")
    wrapped = isinstance(content.get(WRAPPER), dict)
    if wrapped and {"callbacks", "loops"} & content.keys() and "optimizer_states" in content:
        _refuse_run(content[WRAPPER])
    content = content[WRAPPER] if wrapped else content
    named = {name: value for name, value in content.items() if isinstance(name, str) and isinstance(value, Tensor)}
    return TensorFile(named, wrapped)


def _refuse_run(content: dict[object, object]) -> None:
    """A Lightning checkpoint may well be of Stable Diffusion: only one that holds other weights is refused here."""
    if not any(str(name).startswith("model.diffusion_model.") for name in content):
        raise ValueError("that is the checkpoint of a run, not a prior; continue the run with resume=FILE instead")
