"""A network built without memory takes its weights one by one, each cast on the way: nothing is there twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from accelerate import init_empty_weights
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)
SHOWN = 5


def fill(
    build: Callable[[], M],
    tensors: Mapping[str, Tensor],
    dtype: torch.dtype,
    device: torch.device,
    original_name: Callable[[str], str] = str,
) -> M:
    """A frozen network of its own memory. ValueError if it needs other tensors, by what `original_name` calls them."""
    module = check_fits(build, tensors, original_name)
    cast = lambda tensor: tensor.to(device, dtype, copy=True, memory_format=_layout(tensor))
    module.load_state_dict({name: cast(tensor) for name, tensor in tensors.items()}, assign=True)
    return module.to(device).eval().requires_grad_(False)


def check_fits(build: Callable[[], M], tensors: Mapping[str, Tensor], original_name: Callable[[str], str] = str) -> M:
    """The network without weights. Raises ValueError if it needs other tensors than these."""
    with init_empty_weights(include_buffers=False):
        module = build()
    wanted = module.state_dict()
    missing = [original_name(name) for name in wanted if name not in tensors]
    unexpected = [original_name(name) for name in tensors if name not in wanted]
    if missing or unexpected:
        facts = [f"{len(missing)} of {len(wanted)} tensors are missing{some(missing)}"] * bool(missing)
        facts += [f"{len(unexpected)} tensors are unexpected{some(unexpected)}"] * bool(unexpected)
        raise ValueError(", ".join(facts))
    wrong = [original_name(name) for name, tensor in tensors.items() if tensor.shape != wanted[name].shape]
    if wrong:
        raise ValueError(f"{len(wrong)} of {len(wanted)} tensors have another shape{some(wrong)}")
    return module


def some(names: list[str]) -> str:
    return f" ({', '.join(names[:SHOWN])}{', ...' if len(names) > SHOWN else ''})"


def _layout(tensor: Tensor) -> torch.memory_format:
    """Of convolutions, the one that is faster."""
    return torch.channels_last if tensor.ndim == 4 else torch.preserve_format
