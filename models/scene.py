"""The optimised, checkpointed thing: its parameters are the result of a run."""

from __future__ import annotations

from torch import nn

from models.backgrounds import Background
from models.geometry import Geometry
from models.materials import Material


class Scene(nn.Module):
    """Parameters are named geometry.encoding.*, geometry.network.*, background.*: optimiser groups go by these."""

    def __init__(self, geometry: Geometry, material: Material, background: Background) -> None:
        super().__init__()
        self.geometry = geometry
        self.material = material
        self.background = background
