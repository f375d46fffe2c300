"""init_from=FOLDER: the scene of a run starts as another run has left its own."""

from __future__ import annotations

import logging

import torch
from torch import nn

from data.errors import UserError
from models.dmtet import LockedMesh, Tetrahedra
from models.geometry import DensityField, Geometry
from models.imitation import imitate
from models.scene import Scene
from systems.past_run import PastRun, open_run
from systems.starting import KEY

log = logging.getLogger(__name__)


class Start:
    """path: the folder of that run; null: the scene starts as it was made.
    threshold: of a density, where the surface is that tetrahedra start from; null: found.
    """

    def __init__(self, path: str | None = None, threshold: float | None = None) -> None:
        self.path = path
        self.threshold = threshold

    def __call__(self, scene: Scene) -> None:
        if self.path is None:
            return
        run = open_run(self.path, KEY)
        log.info("Starting from %s, step %d ...", self.path, run.step)
        self._begin(scene, run)

    def _begin(self, scene: Scene, run: PastRun) -> None:
        geometry, source = scene.geometry, run.scene.geometry
        if isinstance(geometry, Tetrahedra | LockedMesh):
            field = source.field if isinstance(source, Tetrahedra | LockedMesh) else source
            assert isinstance(geometry.field, nn.Module) and isinstance(field, nn.Module)
            geometry.field.load_state_dict(field.state_dict())
            if isinstance(geometry, Tetrahedra):
                geometry.start_from(source, self.threshold)
        elif isinstance(geometry, DensityField):
            if not _copied(geometry, source):
                imitate(geometry, source)
        else:
            raise UserError(f"{KEY}={self.path}: a {type(geometry).__name__} cannot start from another run")


def _copied(geometry: DensityField, source: Geometry) -> bool:
    """Gives the geometry the state of the other, if both are of one kind: if then they are equal at random points."""
    assert isinstance(geometry, nn.Module) and isinstance(source, nn.Module)
    own, other = geometry.state_dict(), source.state_dict()
    if {name: value.shape for name, value in own.items()} != {name: value.shape for name, value in other.items()}:
        return False
    own = {name: value.clone() for name, value in own.items()}
    geometry.load_state_dict(other)
    points = (torch.rand(1000, 3, generator=torch.Generator().manual_seed(0)) * 2 - 1) * geometry.radius
    with torch.no_grad():
        same = isinstance(source, DensityField) and torch.equal(geometry.density(points), source.density(points))
    if not same:
        geometry.load_state_dict(own)
    return same
