"""Which implementation of a kernel runs: the torch definition, its numba twin (CPU) or a CUDA library."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

import torch

from data.errors import UserError

Backend = Literal["auto", "torch", "numba", "cuda"]
Kernels = TypeVar("Kernels")
TINYCUDANN = (
    'pip install --no-build-isolation "git+https://github.com/NVlabs/tiny-cuda-nn/#subdirectory=bindings/torch"'
)
UNUSABLE = (ImportError, OSError, RuntimeError)  # not installed; no matching GPU or compiler; does not compile


@dataclass(frozen=True)
class ByDevice(Generic[Kernels]):
    """The kernels for CPU tensors and those for CUDA tensors."""

    cpu: Kernels
    cuda: Kernels

    def of(self, tensor: torch.Tensor) -> Kernels:
        return self.cuda if tensor.is_cuda else self.cpu


@dataclass(frozen=True)
class Source(Generic[Kernels]):
    """Where the kernels of one back end come from: `load` imports the library and returns them."""

    load: Callable[[], Kernels]
    remedy: str  # what the user types when it fails


def choose(
    backend: Backend,
    definition: Kernels,
    numba: Source[Kernels],
    cuda: Source[Kernels],
    key: str = "renderer.backend",
) -> ByDevice[Kernels]:
    """Loads what `backend` names. `auto` takes the fastest that is installed and falls back on the definition.

    key: under which the user named the back end.
    """
    if backend == "torch":
        return ByDevice(definition, definition)
    if backend == "numba":
        return ByDevice(_required(backend, numba, key), definition)
    if backend == "cuda":
        return ByDevice(definition, _required(backend, cuda, key))
    on_cuda = _optional(cuda, definition) if torch.cuda.is_available() else definition
    return ByDevice(_optional(numba, definition), on_cuda)


def _required(backend: Backend, source: Source[Kernels], key: str) -> Kernels:
    try:
        return source.load()
    except UNUSABLE as error:
        ways_out = f"{source.remedy}, or choose {key}=auto"
        raise UserError(f"{key}={backend} cannot run here ({error}); {ways_out}") from error


def _optional(source: Source[Kernels], definition: Kernels) -> Kernels:
    try:
        return source.load()
    except UNUSABLE as error:
        warnings.warn(f"using the slower torch kernels ({error}). For speed: {source.remedy}", stacklevel=3)
        return definition
