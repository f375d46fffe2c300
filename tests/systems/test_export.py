from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch
import trimesh
from jaxtyping import Float
from torch import Tensor, nn

from data.errors import UserError
from models.asset import look_up
from models.backgrounds import SolidBackground
from models.dmtet import LockedMesh
from models.materials import Albedo
from models.scene import Scene
from models.triangles import EmptySurfaceError, Triangles
from systems.command.run_folder import RunFolder
from systems.export import Exporter
from systems.export_run import ExportRun


class FineBall(nn.Module):
    """327,680 faces, white in front (x > 0), else black."""

    radius = 0.6

    def features(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        return (1000 * x[:, :1]).clamp(-20, 20).expand(-1, 3)

    def isosurface(self, resolution: int, threshold: float | None = None) -> Triangles:
        ball = trimesh.creation.icosphere(7, radius=0.4)
        return Triangles(torch.from_numpy(ball.vertices).float(), torch.from_numpy(ball.faces))


@pytest.fixture
def scene() -> Scene:
    return Scene(FineBall(), Albedo(), SolidBackground())


def run_folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder(str(tmp_path), "export", "a red dog", 0)
    folder.path.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("max_faces", [20000, None])
def test_300_000_faces_become_an_asset_with_and_without_a_budget(scene: Scene, max_faces: int | None) -> None:
    asset = Exporter(max_faces=max_faces, texture_size=256, unwrap_seconds=5.0 if max_faces else 0.01).asset(scene)
    assert len(asset.faces) == (max_faces or 327_680)
    assert asset.surface.volume == pytest.approx(4 / 3 * torch.pi * 0.4**3, rel=0.01)
    assert asset.welded[0].volume == pytest.approx(asset.surface.volume) and asset.roughness_metallic is None
    torch.testing.assert_close(asset.normals.norm(dim=-1), torch.ones(len(asset.normals)))
    away = asset.vertices[:, 0].abs() > 0.05
    color = look_up(asset.base_color, asset.uv)[away]
    torch.testing.assert_close(color, (asset.vertices[away, :1] > 0).float().expand(-1, 3), atol=0.02, rtol=0)


def test_a_locked_mesh_keeps_its_small_parts_and_all_its_faces(tmp_path: Path) -> None:
    wheels = [trimesh.creation.icosphere(1, 0.05).apply_translation((x, -0.3, z)) for x in (-1, 1) for z in (-1, 1)]
    car = trimesh.util.concatenate([trimesh.creation.box((2.0, 0.4, 2.0)), *wheels])
    car.export(tmp_path / "car.obj")
    mesh = LockedMesh(str(tmp_path / "car.obj"), FineBall())
    asset = Exporter(max_faces=100, texture_size=64, unwrap_seconds=0.01, backend="torch").asset(
        Scene(mesh, Albedo(), SolidBackground())
    )
    assert len(asset.faces) == 12 + 4 * 80


def test_normals_of_the_smallest_and_of_flat_faces_have_unit_length(tmp_path: Path) -> None:
    file = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 0.5\nv 1e-7 0 0.5\nv 0 1e-7 0.5\n"
    file += "v 0 0 0.7\nv 0.2 0 0.7\nv 0.4 0 0.7\nf 1 2 3\nf 4 5 6\nf 7 8 9\n"
    (tmp_path / "slivers.obj").write_text(file)
    mesh = LockedMesh(str(tmp_path / "slivers.obj"), FineBall(), z_up=True)
    exporter = Exporter(texture_size=64, unwrap_seconds=0.01, backend="torch")
    normals = exporter.asset(Scene(mesh, Albedo(), SolidBackground())).normals
    torch.testing.assert_close(normals.abs(), torch.tensor([0.0, 0.0, 1.0]).expand(9, 3))


def test_a_budget_of_one_face_is_an_empty_surface_that_says_so(scene: Scene) -> None:
    with pytest.raises(EmptySurfaceError, match=r"export.max_faces=1 leaves no surface"):
        Exporter(max_faces=1, texture_size=16).asset(scene)


def test_all_files_are_written_and_nothing_else(scene: Scene, tmp_path: Path) -> None:
    exporter = Exporter(max_faces=500, texture_size=64, formats=["glb", "obj", "ply"])
    exporter.write(exporter.asset(scene), tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"mesh.glb", "mesh.obj", "mesh.mtl", "mesh.png", "mesh.ply"}
    assert all(len(trimesh.load_mesh(tmp_path / f"mesh.{one}").faces) == 500 for one in ("glb", "obj", "ply"))


def test_a_full_disk_leaves_the_files_of_before(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = Exporter(max_faces=500, texture_size=64, formats=["glb", "ply"])
    asset = exporter.asset(scene)
    (tmp_path / "mesh.glb").write_text("before")
    write = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if "ply" in path.name:
            raise OSError("no space left on device")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="no space"):
        exporter.write(asset, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["mesh.glb"]
    assert (tmp_path / "mesh.glb").read_text() == "before"


def test_a_run_is_exported_beside_its_render(make_run_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = run_folder(tmp_path)
    exporter = Exporter(resolution=32, texture_size=64, max_faces=1000, formats=["obj", "glb"])
    ExportRun(str(make_run_folder()), exporter, size=32, n_views=4).run(folder, None)
    metrics = json.loads(folder.metrics.read_text())
    assert metrics["step"] == 7 and metrics["mesh_faces"] <= 1000 and metrics["mesh_iou"] > 0.8
    assert metrics["mesh_psnr"] > 15 and metrics["export_seconds"] > 0 and metrics["mesh_unwrapped"] == "xatlas"
    assert (folder.path / "mesh.obj").exists() and (folder.path / "mesh.glb").exists()
    renders, meshes = np.split(iio.imread(folder.path / "views.png").astype(float), 2)
    assert renders.shape == (32, 4 * 32, 3) and np.abs(renders - meshes).mean() < 25


def test_an_empty_scene_says_what_to_do_and_leaves_nothing(
    make_run_folder: Callable[..., Path], tmp_path: Path
) -> None:
    folder, past = run_folder(tmp_path), str(make_run_folder())
    with pytest.raises(EmptySurfaceError, match=r"no density exceeds .* say export.threshold=null"):
        ExportRun(past, Exporter(resolution=16, threshold=1e6)).run(folder, None)
    assert list(folder.path.iterdir()) == []


def test_a_job_about_a_run_has_its_name_and_says_if_it_is_none(run, make_run_folder: Callable[..., Path]) -> None:
    past = make_run_folder("seed=3")
    run.accepts("experiment=export", f"run={past}", "export.formats=[glb,obj,ply]", "export.max_faces=null")
    assert Path(run.overrides[1].removeprefix("output="), "export", "a-red-dog-3").is_dir()
    assert "run is missing: say run=outputs/" in run.error("experiment=export")
    assert "is no run folder" in run.error("experiment=export", f"run={past.parent / 'nothing'}")
    assert "export.formats=['fbx'] must be" in run.error("experiment=export", f"run={past}", "export.formats=[fbx]")


def test_a_back_end_that_is_missing_is_named_with_its_key() -> None:
    if torch.cuda.is_available():
        pytest.skip("nvdiffrast may be here")
    with pytest.raises(UserError, match=r"export\.backend=cuda .*or choose export\.backend=auto"):
        Exporter(backend="cuda")
