"""Tetrahedra learn to look as the volume that they start from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf

import launch
from data.samplers import turntable
from renderers.output import RenderOutput
from systems.command.starting import take_over
from systems.likeness import Likeness, difference
from systems.past_run import open_run
from systems.start import Start
from systems.text_to_3d import TextTo3D

MakeRun = Callable[..., Path]
CPU = torch.device("cpu")


@pytest.fixture
def started(make_run_folder: MakeRun, make_system: Callable[..., TextTo3D]) -> tuple[TextTo3D, Path]:
    """A system whose scene has the surface and the field of a volume."""
    source = make_run_folder()
    words = ["background=solid", "~background.color", "renderer=dmtet", "geometry.resolution=12", f"init_from={source}"]
    with initialize_config_dir(str(launch.CONF), version_base="1.3"):
        config = compose("config", words)
    take_over(config)
    parts = OmegaConf.create(OmegaConf.to_container(config, resolve=True)).system
    system = make_system(learning_rates=OmegaConf.to_container(parts.learning_rates))
    system.scene, system.renderer = (instantiate(parts[name], _convert_="all") for name in ("scene", "renderer"))
    Start(str(source))(system.scene)
    return system, source


@torch.no_grad()
def off(system: TextTo3D, source: Path) -> float:
    run, cameras = open_run(source), turntable(4, size=32)
    return difference(system.look(cameras), run.renderer(run.scene, cameras)).item()


def test_renders_come_closer_and_backgrounds_stay(started: tuple[TextTo3D, Path]) -> None:
    system, source = started
    with torch.no_grad():
        system.scene.geometry.sdf += 0.05  # a smaller object
        system.scene.geometry.field.network.weights[-1][1:] += 1.0  # of other colours
    before, background = off(system, source), system.scene.background
    Likeness(steps=40, size=32)(system, open_run(source), CPU)
    assert off(system, source) < before / 2
    assert system.scene.background is background


def test_without_steps_nothing_changes(started: tuple[TextTo3D, Path]) -> None:
    system, source = started
    before = {name: value.clone() for name, value in system.scene.state_dict().items()}
    Likeness(steps=0)(system, open_run(source), CPU)
    assert all(torch.equal(value, before[name]) for name, value in system.scene.state_dict().items())


def test_a_volume_is_left_alone(make_run_folder: MakeRun, make_system: Callable[..., TextTo3D]) -> None:
    system = make_system()
    before = {name: value.clone() for name, value in system.scene.state_dict().items()}
    Likeness(steps=2, size=8)(system, open_run(make_run_folder()), CPU)
    assert all(torch.equal(value, before[name]) for name, value in system.scene.state_dict().items())


def test_what_is_half_opaque_is_wanted_as_covered() -> None:
    def grey(opacity: float) -> RenderOutput:
        image = torch.full((1, 2, 2, 3), 0.5)
        return RenderOutput(image, torch.full((1, 2, 2, 1), opacity), image[..., :1], None)

    assert difference(grey(1.0), grey(0.6)) == 0.0
    assert difference(grey(1.0), grey(0.4)) == 1.0
