"""Where training pictures come from: what draws captioned objects, each seen from several cameras."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from data.cameras import Cameras


@runtime_checkable
class ViewBatch(Protocol):
    """n objects, b = n x views pictures, view fastest."""

    @property
    def images(self) -> Float[Tensor, "b h w 3"]: ...

    @property
    def cameras(self) -> Cameras: ...

    def draw_captions(self, count: int, rng: torch.Generator) -> list[list[str]]:
        """`count` captions of each object."""
        ...


@runtime_checkable
class Views(Protocol):
    """Draws objects for training, never one that is held out. Can be sent to other processes."""

    n_view: int  # pictures of each object

    def draw(self, n_objects: int, rng: torch.Generator) -> ViewBatch: ...

    @property
    def settings(self) -> tuple[object, ...]:
        """All that the draws depend on, beside the generator."""
        ...
