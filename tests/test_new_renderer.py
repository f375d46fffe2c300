"""What it takes to add a renderer: one file and one YAML, in a copy of this repository."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("conf", "data", "guidance", "metrics", "models", "renderers", "systems", "launch.py", "pyproject.toml")

FLAT = '''
"""The field where each ray passes the centre: a renderer of one sample."""

import torch
from torch import nn

from data.cameras import Cameras
from data.ranges import PositiveFloat
from data.share import WHOLE, Share
from models.scene import Scene
from renderers.output import RenderOutput


class Flat(nn.Module):
    def __init__(self, thickness: PositiveFloat = 0.5) -> None:
        super().__init__()
        self.thickness = thickness

    def update(self, step: int, scene: Scene, rng: torch.Generator) -> None:
        pass

    def forward(
        self, scene: Scene, cameras: Cameras, rng: torch.Generator | None = None, share: Share = WHOLE
    ) -> RenderOutput:
        own = share.of(len(cameras))
        light = scene.material.light(cameras.position, rng)
        background = scene.background(cameras.rays().directions, rng)[own]
        rays = cameras[own].rays()
        depth = -(rays.origins * rays.directions).sum(dim=-1, keepdim=True)
        points = (rays.origins + depth * rays.directions).flatten(0, 2)
        field = scene.geometry(points)
        opacity = -torch.expm1(-self.thickness * field.density).view_as(depth)
        color = scene.material(field.features, points, None, light)
        rgb = color.view_as(rays.directions) * opacity + (1 - opacity) * background
        return RenderOutput(rgb, opacity, depth * opacity, None, share=share)
'''
YAML = """\
# @package _global_
renderer:
  _target_: renderers.flat.Flat
  thickness: 0.5

geometry:
  _target_: models.geometry.ImplicitVolume
  radius: ${radius}
  n_features: ${n_features}
  seed: ${seed}
  encoding:
    _target_: models.hashgrid.HashGrid
    seed: ${seed}
  density_bias:
    _target_: models.geometry.BlobMagic3D
    scale: 10.0
    std: 0.5
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for part in PARTS:
        source = ROOT / part
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, tmp_path / part)
    (tmp_path / "assets").symlink_to(ROOT / "assets")
    return tmp_path


def test_one_file_and_one_yaml_make_a_renderer(repository: Path) -> None:
    (repository / "renderers" / "flat.py").write_text(FLAT)
    (repository / "conf" / "renderer" / "flat.yaml").write_text(YAML)
    words = ["renderer=flat", "prompt=a red dog", "trainer.max_steps=3", "quality=draft", "export.texture_size=64"]
    words += ["report.size=32", "report.n_frames=8"]
    done = subprocess.run(
        [sys.executable, "launch.py", *words], cwd=repository, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    folder = repository / done.stdout.splitlines()[-1]
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["steps"] == 3 and 0 < metrics["opacity"] < 1
    assert (folder / "mesh.glb").stat().st_size > 1000


def test_its_keys_are_checked_like_those_of_any_other(repository: Path) -> None:
    (repository / "renderers" / "flat.py").write_text(FLAT)
    (repository / "conf" / "renderer" / "flat.yaml").write_text(YAML.replace("thickness", "thicknes"))
    done = subprocess.run(
        [sys.executable, "launch.py", "renderer=flat", "prompt=a red dog"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "renderer.thicknes: renderers.flat.Flat takes no thicknes; did you mean thickness?" in done.stderr


def test_it_keeps_its_own_sizes_in_a_full_size_experiment(repository: Path) -> None:
    """All keys are accepted: what is left to ask for is the prior."""
    (repository / "renderers" / "flat.py").write_text(FLAT)
    (repository / "conf" / "renderer" / "flat.yaml").write_text(YAML)
    words = ["renderer=flat", "experiment=mvdream_shading", "prompt=a red dog", "prior.path=/not/there"]
    done = subprocess.run(
        [sys.executable, "launch.py", *words], cwd=repository, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and "prior.path=/not/there: there is no such folder" in done.stderr
