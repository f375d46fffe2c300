"""What a text-to-3D run leaves behind to look at: images on the way; views, turntable, mesh and page at the end."""

from __future__ import annotations

import csv
import logging
from pathlib import Path

from pytorch_lightning import Callback, LightningModule, Trainer

from data.cameras import Cameras
from data.errors import UserError
from data.ranges import PositiveFloat, PositiveInt
from data.samplers import turntable
from models.mesh import Mesh, extract_mesh
from models.triangles import EmptySurfaceError
from systems.page import write_page
from systems.pictures import frames, write_row, write_video
from systems.progress import Progress
from systems.provenance import provenance, write_whole
from systems.text_to_3d import TextTo3D
from systems.truth import against_truth

log = logging.getLogger(__name__)


class Report(Callback):
    """every: steps between rows of four images in images/.
    size: pixels of a frame of the turntable; views.png shows n_views of its n_frames.
    mesh_resolution: grid points along an edge.
    elevation, fov, distance: of the cameras that go around; degrees. distance null: as far as the embedded priors'
    training pictures were taken. The ground truth is compared from cameras of its own, so that figures compare.
    """

    def __init__(
        self,
        every: PositiveInt = 100,
        size: PositiveInt = 256,
        n_frames: PositiveInt = 40,
        n_views: PositiveInt = 8,
        fps: PositiveInt = 20,
        mesh_resolution: PositiveInt = 96,
        elevation: float = 15.0,
        fov: PositiveFloat = 40.0,
        distance: PositiveFloat | None = None,
    ) -> None:
        if n_frames % n_views:
            raise UserError(f"report.n_frames={n_frames} must be a multiple of report.n_views={n_views}")
        self.every, self.size, self.n_frames, self.n_views = every, size, n_frames, n_views
        self.fps, self.mesh_resolution = fps, mesh_resolution
        self.elevation, self.fov, self.distance = elevation, fov, distance

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        if trainer.global_step % self.every == 0:
            assert isinstance(pl_module, TextTo3D)
            path = Path(trainer.default_root_dir) / "images" / f"{trainer.global_step:06d}.png"
            write_row(path, list(frames(pl_module, self._around(4, self.size // 2))))

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """metrics.json comes last: its presence says that the run is finished."""
        assert isinstance(pl_module, TextTo3D)
        pl_module.to(trainer.strategy.root_device)  # from where Lightning has taken it after the last step
        folder = Path(trainer.default_root_dir)
        log.info("Drawing the turntable and the mesh ...")
        images = list(frames(pl_module, self._around(self.n_frames, self.size)))
        write_row(folder / "views.png", images[:: self.n_frames // self.n_views])
        write_video(folder / "turntable.mp4", images, self.fps)
        mesh = self._mesh(pl_module)
        if mesh is not None:
            mesh.save(folder / "mesh.glb")
        truth = against_truth(pl_module)
        metrics = self._metrics(trainer) | truth
        write_page(folder, metrics, mesh)
        write_whole(folder / "metrics.json", metrics)

    def _around(self, n: int, size: int) -> Cameras:
        return turntable(n, size, self.elevation, self.fov, distance=self.distance)

    def _mesh(self, system: TextTo3D) -> Mesh | None:
        """None, and a word about it, for a scene without a surface: the rest of the report shows why."""
        try:
            return extract_mesh(system.scene.geometry, system.scene.material, self.mesh_resolution)
        except EmptySurfaceError as error:
            log.warning("There is no mesh.glb: %s", error)
            return None

    def _metrics(self, trainer: Trainer) -> dict[str, str | int | float]:
        callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # Lightning sets it elsewhere
        progress = next(callback for callback in callbacks if isinstance(callback, Progress))
        with (Path(trainer.default_root_dir) / "metrics.csv").open() as table:
            *_, last = csv.DictReader(table)  # also there when this process only writes the report
        losses = {name: float(value) for name, value in last.items() if value and name not in ("step", "seconds")}
        took = provenance(trainer.strategy.root_device) | {"seconds": round(progress.seconds, 1)}
        return {"steps": trainer.global_step, **took, **losses}
