"""However many processes share the views of a step: it is the same step."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import set_forkserver_preload
from pathlib import Path

import pytest
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.strategies import DDPStrategy

from data.errors import UserError
from data.share import WHOLE, Share
from models.backgrounds import LearnedBackground
from models.dmtet import Tetrahedra
from models.materials import DiffusePointLight
from models.scene import Scene
from renderers.occupancy import OccupancyGrid
from renderers.raster import Raster
from renderers.volume import Volume
from systems.losses import Opacity, Orientation, Sparsity, ZVariance
from systems.mesh_losses import Laplacian, NormalConsistency, SignedDistance
from systems.reports.progress import Progress
from systems.text_to_3d import TextTo3D

# A fork of a process that computes would wait for its threads for ever; those of one that has only imported are whole
set_forkserver_preload(["tests.conftest", "tests.systems.red_world"])


def as_it_is(system: TextTo3D) -> None:
    """A volume that shines by itself."""


def lit(system: TextTo3D) -> None:
    """Lights and backgrounds are drawn; at times only the shape is seen, so that the colours have no gradient."""
    system.scene.material = DiffusePointLight(diffuse_probability=1.0, textureless_probability=0.5)
    system.scene.background = LearnedBackground(hidden=4, n_hidden=1)
    system.learning_rates["background"] = 0.01
    system.renderer = Volume(OccupancyGrid(resolution=8, every=2), n_samples=16, normals=True, backend="torch")
    system.losses = {"sparsity": Sparsity(1.0), "orientation": Orientation(1.0), "z_variance": ZVariance(1.0)}


def resampled(system: TextTo3D) -> None:
    """Each process draws for the rays that meet anything, of which the others have another number."""
    system.renderer = Volume(OccupancyGrid(resolution=8, every=2), n_samples=16, importance=4, backend="torch")


def rasterised(system: TextTo3D) -> None:
    """A light that shows the shape alone leaves the whole field without a gradient."""
    light = DiffusePointLight(diffuse_probability=1.0, textureless_probability=0.5)
    system.scene = Scene(Tetrahedra(system.scene.geometry, resolution=8), light, system.scene.background)
    system.learning_rates = {"geometry": 0.01}
    system.renderer = Raster(backend="torch")
    surface = {"normals": NormalConsistency(1.0), "laplacian": Laplacian(1.0), "distance": SignedDistance(1.0)}
    system.losses = {"opacity": Opacity(1.0), **surface}


@dataclass(frozen=True)
class Fitted:
    """Parameters, and what metrics.csv says of each step."""

    start: torch.Tensor
    end: torch.Tensor
    rows: list[dict[str, float]]


class OwnMemory(Callback):
    """A process is given tensors as memory that it shares with the others: all would train the same parameters."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        for tensor in (*pl_module.parameters(), *pl_module.buffers()):
            tensor.data = tensor.data.clone()


def fit_twin(make: Callable[..., TextTo3D], change: Callable[[TextTo3D], None], path: Path, processes: int) -> Fitted:
    """The same system each time."""
    system, folder = make(), path / str(processes)
    change(system)
    folder.mkdir()
    start = flat(system)
    strategy = DDPStrategy(find_unused_parameters=True, start_method="forkserver") if processes > 1 else "auto"
    trainer = Trainer(
        default_root_dir=folder, max_steps=6, max_epochs=-1, accelerator="cpu", devices=processes, strategy=strategy,
        callbacks=[OwnMemory(), Progress()], logger=False, enable_progress_bar=False, enable_checkpointing=False,
        enable_model_summary=False, use_distributed_sampler=False,
    )  # fmt: skip
    trainer.fit(system)
    with (folder / "metrics.csv").open() as table:
        rows = [{n: float(v) for n, v in row.items() if v and n != "seconds"} for row in csv.DictReader(table)]
    return Fitted(start, flat(system), rows)


def flat(system: TextTo3D) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in system.parameters()])


@pytest.mark.parametrize("processes", [2, 4])
@pytest.mark.parametrize("change", [as_it_is, lit, resampled])
def test_processes_train_as_one(
    make_system: Callable[..., TextTo3D], tmp_path: Path, change: Callable[[TextTo3D], None], processes: int
) -> None:
    """But for the order of sums, which Adam enlarges where a gradient is small: found 2e-7 of the way."""
    alone, shared = (fit_twin(make_system, change, tmp_path, count) for count in (1, processes))
    assert (alone.end - shared.end).norm() < 1e-5 * (alone.end - alone.start).norm()
    for one, other in zip(alone.rows, shared.rows, strict=True):
        assert one == pytest.approx(other, rel=1e-5)


def test_a_surface_is_trained_as_by_one(make_system: Callable[..., TextTo3D], tmp_path: Path) -> None:
    """Until rounding moves a distance past zero, which changes the triangles: found 1e-4 of the way after six steps."""
    alone, shared = (fit_twin(make_system, rasterised, tmp_path, count) for count in (1, 2))
    assert (alone.end - shared.end).norm() < 1e-2 * (alone.end - alone.start).norm()
    for one, other in zip(alone.rows[:2], shared.rows[:2], strict=True):
        assert one == pytest.approx(other, rel=1e-5)


def test_views_that_are_fewer_than_processes_are_refused() -> None:
    with pytest.raises(UserError, match=r"system.batch_size=4: 3 processes share it; say a multiple of 3"):
        Share(0, 3).of(4)


def test_one_process_has_the_whole(rng: torch.Generator) -> None:
    images = torch.rand(4, 2, 2, 3, generator=rng)
    assert WHOLE.gather(images) is images and WHOLE.of(4) == slice(0, 4)
    twin = torch.Generator().manual_seed(5)
    drawn = WHOLE.draw(3, 2, torch.Generator().manual_seed(5), torch.device("cpu"))
    assert torch.equal(drawn, torch.rand(3, 2, generator=twin))
