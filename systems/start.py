"""init_from=FOLDER: the scene of a run starts as another run has left its own."""

from __future__ import annotations

import logging

import torch
from jaxtyping import Float
from torch import Tensor, nn

from data.errors import UserError
from data.ranges import PositiveFloat
from models.dmtet import LockedMesh, Tetrahedra
from models.geometry import DensityField, Geometry
from models.imitation import imitate
from models.normals import Sloped
from models.scene import Scene
from models.triangles import EmptySurfaceError
from systems.command.starting import KEY
from systems.past_run import PastRun, open_run

log = logging.getLogger(__name__)


class Start:
    """path: the folder of that run; null: the scene starts as it was made.
    threshold: of a density, where the surface is that tetrahedra start from; null: found.
    """

    def __init__(self, path: str | None = None, threshold: PositiveFloat | None = None) -> None:
        self.path = path
        self.threshold = threshold

    def __call__(self, scene: Scene) -> PastRun | None:
        """That run, if there is one."""
        if self.path is None:
            return None
        run = open_run(self.path, KEY)
        log.info("Starting from %s, step %d ...", self.path, run.step)
        self._begin(scene, run)
        return run

    def _begin(self, scene: Scene, run: PastRun) -> None:
        _take_background(scene, run.scene)
        geometry, source = scene.geometry, run.scene.geometry
        if isinstance(geometry, Tetrahedra | LockedMesh):
            field = source.field if isinstance(source, Tetrahedra | LockedMesh) else source
            assert isinstance(geometry.field, nn.Module) and isinstance(field, nn.Module)
            geometry.field.load_state_dict(field.state_dict())
            if isinstance(geometry, Tetrahedra):
                self._take_surface(geometry, source)
        elif isinstance(geometry, DensityField):
            if not _copied(geometry, source):
                imitate(geometry, source)
        else:
            raise UserError(f"{KEY}={self.path}: a {type(geometry).__name__} cannot start from another run")

    def _take_surface(self, geometry: Tetrahedra, source: Geometry) -> None:
        try:
            geometry.start_from(source, self.threshold)
        except EmptySurfaceError as error:
            hint = "" if self.threshold is None else f" with job.start.threshold={self.threshold}"
            raise EmptySurfaceError(f"{KEY}={self.path} has no surface to start from{hint}: {error}") from error


def _take_background(scene: Scene, source: Scene) -> None:
    """The colours that the object was learned in front of, if both have learned backgrounds of one size."""
    own, other = scene.background, source.background
    if type(own) is not type(other) or not isinstance(own, nn.Module) or not isinstance(other, nn.Module):
        return
    shapes = [{name: value.shape for name, value in one.state_dict().items()} for one in (own, other)]
    if shapes[0] == shapes[1]:
        own.load_state_dict(other.state_dict())


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
        same = type(source) is type(geometry) and torch.equal(_level(geometry, points), _level(source, points))
    if not same:
        geometry.load_state_dict(own)
    return same


def _level(field: Geometry, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
    """What the state alone gives, where there is such a thing: a schedule may change the density around a surface."""
    if isinstance(field, Sloped):
        return field.level(x)
    assert isinstance(field, DensityField)
    return field.density(x)
