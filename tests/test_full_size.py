"""The full-size recipes with each renderer: accepted, and all that they set is there. No prior is asked anything."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import trimesh
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig, ListConfig, OmegaConf

import launch
from data.samplers import turntable
from models.scene import Scene
from systems.command.trees import flatten
from systems.learning_rate import parameter_groups
from systems.schedules import ScheduleTable
from tests.conftest import Run

EXPERIMENTS = ("dreamfusion_sd", "mvdream", "mvdream_shading", "prolificdreamer")
RENDERERS = sorted(file.stem for file in (launch.CONF / "renderer").glob("*.yaml"))
SURFACES = ("dmtet", "texture")
SOLID, LEARNED = "models.backgrounds.SolidBackground", "models.backgrounds.LearnedBackground"
GRID = {"encoding.n_levels": 16, "encoding.log2_table_size": 19, "encoding.finest_resolution": 4096, "hidden": 64}
RATES = {"encoding": 0.01, "network": 0.001, "feature_network": 0.001}
REFINE = {
    "data.size": 256,
    "radius": 1.0,
    "background._target_": SOLID,
    "guidance.scale": 50.0,
    "guidance.min_t": 0.02,
    "guidance.max_t": 0.5,
    "system.batch_size": 8,
    "system.weight_decay": 0.0,
    "system.learning_rates.geometry.deformation": 0.01,
    "system.learning_rates.geometry.field.encoding": 0.001,
    "system.learning_rates.geometry.field.feature_network": 0.0001,
    "system.losses.sparsity.weight": 0.0,
    "job.start.threshold": 15.0,
    "trainer.max_steps": 1000,
}


@pytest.fixture
def mesh(tmp_path: Path) -> str:
    trimesh.creation.icosphere(1).export(tmp_path / "ball.ply")
    return f"geometry.path={tmp_path / 'ball.ply'}"


@pytest.fixture
def accepts(run: Run) -> Run:
    """Reads any prompt, as full-size priors do; the fixture's knows 15 words."""
    run.overrides += ["prompt_processor.unknown=warn"]
    return run


def composed(name: str, *overrides: str) -> DictConfig:
    words = [f"experiment={name}", "prompt=a red dog", "prior.path=/models/prior", *overrides]
    with initialize_config_dir(str(launch.CONF), version_base="1.3"):
        return OmegaConf.create(OmegaConf.to_container(compose("config", words), resolve=True))


def without_lists(node: DictConfig) -> object:
    """Type checks of tests would refuse the lists YAML has for tuples: their defaults do as well here."""
    return instantiate({key: value for key, value in node.items() if not isinstance(value, ListConfig)})


@pytest.mark.parametrize("name", EXPERIMENTS)
@pytest.mark.parametrize("renderer", RENDERERS)
def test_every_experiment_takes_every_renderer(accepts: Run, name: str, renderer: str, mesh: str) -> None:
    accepts.accepts("prompt=a dog", f"experiment={name}", f"renderer={renderer}", *[mesh] * (renderer == "texture"))


@pytest.mark.parametrize("choice", ["background=solid", "background=random", "material=albedo", "material=pbr"])
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_takes_other_parts(accepts: Run, name: str, choice: str) -> None:
    accepts.accepts("prompt=a dog", f"experiment={name}", choice)


@pytest.mark.parametrize("name", EXPERIMENTS)
@pytest.mark.parametrize("renderer", RENDERERS)
def test_rates_schedules_and_losses_find_what_they_are_for(
    name: str, renderer: str, mesh: str, rng: torch.Generator
) -> None:
    """A step but for the guidance, of which nothing here depends on the renderer."""
    config = composed(name, f"renderer={renderer}", "renderer.backend=torch", *[mesh] * (renderer == "texture"))
    scene = Scene(*(without_lists(config[part]) for part in ("geometry", "material", "background")))
    groups = parameter_groups(scene.named_parameters(), flatten(config.system.learning_rates))
    assert sum(len(group["params"]) for group in groups) == len(list(scene.parameters()))
    parts = config.renderer, config.system.losses, config.system.schedules
    look, losses, schedules = (instantiate(part, _convert_="all") for part in parts)
    root = SimpleNamespace(scene=scene, losses=losses, sampler=without_lists(config.data), batch_size=8)
    table = ScheduleTable(root, {path: schedule for path, schedule in schedules.items() if path != "guidance"})
    look.update(0, scene, rng)
    for progress in (0.0, 0.5, 1.0):
        table.apply(progress)
        seen = look(scene, turntable(1, size=8), rng)
        assert all(loss(scene, seen).isfinite() for loss in losses.values() if loss.weight)
    assert seen.opacity.max() > 0.5 and scene.geometry.radius == config.radius


@pytest.mark.parametrize("renderer", ["hashgrid", "sdf", *SURFACES])
def test_every_hash_grid_has_the_size_and_the_rates_of_full_size(renderer: str, mesh: str) -> None:
    config = composed("mvdream", f"renderer={renderer}", *[mesh] * (renderer == "texture"))
    at = "geometry.field" if renderer in SURFACES else "geometry"
    field, rates = OmegaConf.select(config, at), OmegaConf.select(config, f"system.learning_rates.{at}")
    assert {key: OmegaConf.select(field, key) for key in GRID} == GRID
    assert {key: rates[key] for key in RATES} == RATES


def test_tetrahedra_are_as_many_as_threestudios() -> None:
    geometry = instantiate(composed("mvdream", "renderer=dmtet").geometry)
    assert len(geometry.tets) == 1_530_000


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_tetrahedra_keep_the_solid_background_that_they_are_carved_before(name: str) -> None:
    assert composed(name).background._target_ == LEARNED
    assert composed(name, "renderer=dmtet").background._target_ == SOLID
    assert composed(name, "renderer=dmtet", "background=learned").background._target_ == LEARNED


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_losses_of_volumes_are_left_out_for_surfaces(name: str) -> None:
    schedules = composed(name, "renderer=dmtet").system.schedules
    assert not any(flatten(schedules.losses).values())


def test_refining_has_the_published_numbers_where_the_units_are_the_same() -> None:
    config = composed("mvdream_refine", "init_from=outputs/mvdream/a-red-dog-0")
    assert {path: OmegaConf.select(config, path) for path in REFINE} == REFINE
    assert not any(flatten(config.system.schedules).values())


def test_one_radius_is_that_of_every_part() -> None:
    assert composed("mvdream", "renderer=dmtet", "radius=0.7").geometry.field.radius == 0.7
    for key in ("radius", "geometry.radius"):
        volume = composed("mvdream", "renderer=nerf", f"{key}=0.7")
        assert volume.geometry.radius == volume.renderer.occupancy.radius == 0.7
