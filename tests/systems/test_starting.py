"""init_from: what is taken over from another run, in the configuration and in the scene."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import Trainer

import launch
from data.errors import UserError
from models.backgrounds import LearnedBackground
from models.dmtet import Tetrahedra
from models.geometry import ImplicitVolume
from models.scene import Scene
from systems.checkpoint import Checkpoint
from systems.command.run_folder import RunFolder
from systems.command.starting import take_over
from systems.fit import Fit
from systems.past_run import open_run
from systems.start import Start
from systems.text_to_3d import TextTo3D

MakeRun = Callable[..., Path]


def composed(*overrides: str, source: Path | None = None, prompt: str | None = None) -> DictConfig:
    """As launch.py composes it; `~` and `+` as the tests' small scenes need it."""
    words = ["background=solid", "~background.color", *overrides]
    words += [f"init_from={source}"] * (source is not None) + [f"prompt={prompt}"] * (prompt is not None)
    with initialize_config_dir(str(launch.CONF), version_base="1.3"):
        return compose("config", words)


def scene_of(config: DictConfig) -> Scene:
    return instantiate(OmegaConf.create(OmegaConf.to_container(config, resolve=True)).system.scene, _convert_="all")


def test_without_it_nothing_changes() -> None:
    config = composed(prompt="a dog")
    before = config.copy()
    take_over(config)
    assert config == before


def test_prompt_is_taken_unless_one_is_given(make_run_folder: MakeRun) -> None:
    source = make_run_folder()
    config, other = composed("renderer=dmtet", source=source), composed("renderer=dmtet", source=source, prompt="a car")
    take_over(config)
    take_over(other)
    assert (config.prompt, other.prompt) == ("a red dog", "a car")


def test_the_field_of_a_surface_is_the_other_runs_with_everything_it_was_made_of(make_run_folder: MakeRun) -> None:
    source = make_run_folder("geometry.separate_features=true", "+system.learning_rates.geometry.feature_network=0.003")
    config = composed("renderer=dmtet", source=source)
    take_over(config)
    past = OmegaConf.load(source / "config.yaml")
    assert config.geometry.field == past.system.scene.geometry
    rates = config.system.learning_rates.geometry.field
    assert rates.feature_network == 0.003 and rates.encoding == 0.01


def test_a_volume_keeps_its_own_configuration(make_run_folder: MakeRun) -> None:
    config = composed(source=make_run_folder("geometry.radius=0.8"))
    take_over(config)
    assert config.geometry.radius == 0.6 and config.geometry.hidden == 32


def test_a_key_of_the_field_beside_init_from_is_refused(make_run_folder: MakeRun) -> None:
    config = composed("renderer=dmtet", source=make_run_folder())
    with pytest.raises(UserError, match=r"geometry.field.hidden: .*leave out"):
        take_over(config, ["prompt", "geometry.field.hidden"])


def test_a_material_that_needs_more_features_is_refused(make_run_folder: MakeRun) -> None:
    config = composed("renderer=dmtet", "n_features=5", source=make_run_folder())
    with pytest.raises(UserError, match="has 3 features, and this material needs 5"):
        take_over(config)


def test_a_folder_that_is_no_run_is_named() -> None:
    with pytest.raises(UserError, match=r"init_from=/nowhere is no run folder"):
        take_over(composed("renderer=dmtet", source=Path("/nowhere"), prompt="a dog"))


def test_refine_asks_for_the_run() -> None:
    with pytest.raises(UserError, match="init_from is missing"):
        take_over(composed("experiment=refine", prompt="a dog"))


def test_once_started_the_other_run_may_go(make_run_folder: MakeRun, tmp_path: Path) -> None:
    source = make_run_folder()
    config = composed("renderer=dmtet", f"output={tmp_path}", source=source)
    take_over(config)
    folder = tmp_path / config.name / "a-red-dog-0"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(OmegaConf.to_yaml(config, resolve=True))
    shutil.rmtree(source)
    again = composed("renderer=dmtet", f"output={tmp_path}", source=source)
    take_over(again)
    assert OmegaConf.to_container(again, resolve=True) == OmegaConf.to_container(config, resolve=True)


def test_tetrahedra_begin_as_the_surface_of_the_volume_in_its_colours(
    make_run_folder: MakeRun, rng: torch.Generator
) -> None:
    source = make_run_folder()
    config = composed("renderer=dmtet", "geometry.resolution=12", source=source)
    take_over(config)
    scene, volume = scene_of(config), open_run(source).scene.geometry
    Start(str(source))(scene)
    assert isinstance(scene.geometry, Tetrahedra) and isinstance(volume, ImplicitVolume)
    surface = scene.geometry.surface()
    assert surface.volume == pytest.approx(volume.isosurface(48).volume, rel=0.02)
    x = torch.rand(50, 3, generator=rng) - 0.5
    assert torch.equal(scene.geometry.features(x), volume.features(x))


def test_tetrahedra_can_begin_as_tetrahedra(make_run_folder: MakeRun) -> None:
    first = make_run_folder()
    config = composed("renderer=dmtet", "geometry.resolution=12", source=first)
    take_over(config)
    scene = scene_of(config)
    Start(str(first))(scene)
    second = first.parent / "second"
    (second / "checkpoints").mkdir(parents=True)
    (second / "config.yaml").write_text(OmegaConf.to_yaml(config, resolve=True))
    state = {f"scene.{name}": value for name, value in scene.state_dict().items()}
    torch.save({"state_dict": state, "global_step": 1}, second / "checkpoints" / "last.ckpt")
    finer = composed("renderer=dmtet", "geometry.resolution=16", source=second)
    take_over(finer)
    assert finer.geometry.field == config.geometry.field
    refined = scene_of(finer)
    Start(str(second))(refined)
    assert isinstance(refined.geometry, Tetrahedra) and isinstance(scene.geometry, Tetrahedra)
    assert refined.geometry.surface().volume == pytest.approx(scene.geometry.surface().volume, rel=0.02)


def test_a_volume_of_the_same_kind_begins_with_the_same_bits(make_run_folder: MakeRun) -> None:
    source = make_run_folder()
    with torch.no_grad():
        scene = open_run(source).scene
        for parameter in scene.parameters():
            parameter.zero_()
        Start(str(source))(scene)
    expected = open_run(source).scene.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in scene.state_dict().items())


def test_a_signed_distance_is_copied_though_its_density_was_scheduled(make_run_folder: MakeRun) -> None:
    source = make_run_folder("renderer=sdf", "trainer.max_steps=7")
    scene = open_run(source).scene
    scene.geometry.profile.beta = 0.1
    with torch.no_grad():
        for parameter in scene.parameters():
            parameter.zero_()
    Start(str(source))(scene)
    expected = open_run(source).scene.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in scene.state_dict().items())


def test_a_learned_background_is_taken_if_it_has_the_same_size(make_run_folder: MakeRun) -> None:
    past = open_run(make_run_folder())
    past.scene.background = LearnedBackground(seed=5)
    scene = Scene(past.scene.geometry, past.scene.material, LearnedBackground(seed=0))
    smaller = Scene(past.scene.geometry, past.scene.material, LearnedBackground(hidden=8))
    for begun in (scene, smaller):
        Start("a run")._begin(begun, past)
    assert all(map(torch.equal, scene.background.parameters(), past.scene.background.parameters()))
    assert smaller.background.network(torch.ones(1, 9)).shape == (1, 3)


def test_without_a_path_the_scene_stays_as_it_was_made(make_run_folder: MakeRun) -> None:
    scene = open_run(make_run_folder()).scene
    before = {name: value.clone() for name, value in scene.state_dict().items()}
    Start()(scene)
    assert all(torch.equal(value, before[name]) for name, value in scene.state_dict().items())


def test_a_run_that_is_continued_does_not_start_again(
    make_system: Callable[..., TextTo3D], make_trainer: Callable[..., Trainer], tmp_path: Path
) -> None:
    started: list[Scene] = []

    class Noted(Start):
        def __call__(self, scene: Scene) -> None:
            started.append(scene)

    system = make_system(max_steps=1)
    folder = RunFolder(str(tmp_path), "n", "p", 0)
    Fit(system, lambda **_: make_trainer(Checkpoint(), max_steps=1), "cpu", Noted()).run(folder, None)
    assert started == [system.scene]
    saved = tmp_path / "checkpoints" / "last.ckpt"
    Fit(make_system(max_steps=1), lambda **_: make_trainer(max_steps=1), "cpu", Noted()).run(folder, saved)
    assert len(started) == 1
