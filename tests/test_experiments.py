"""The full-size recipes, number by number: Shi et al. 2023 (MVDream) and threestudio's configurations. Nothing runs."""

from __future__ import annotations

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

import launch
from data.samplers import FourViews
from systems.command.trees import flatten

NEGATIVE = (
    "ugly, bad anatomy, blurry, pixelated obscure, unnatural colors, poor lighting, dull, and unclear, cropped, lowres,"
    " low quality, artifacts, duplicate, morbid, mutilated, poorly drawn face, deformed, dehydrated, bad proportions"
)
SHARED = {
    "renderer.alpha_threshold": 0.01,
    "renderer.stop_below": 1e-4,
    "renderer.occupancy.resolution": 32,
    "renderer.occupancy.every": 16,
    "renderer.occupancy.decay": 0.95,
    "renderer.occupancy.threshold": 0.01,
    "renderer.occupancy.warmup": 256,
    "geometry.density_bias._target_": "models.geometry.BlobMagic3D",
    "geometry.density_bias.scale": 10.0,
    "geometry.density_bias.std": 0.5,
    "geometry.normals._target_": "models.normals.Analytic",
    "background._target_": "models.backgrounds.LearnedBackground",
    "background.hidden": 16,
    "background.n_hidden": 2,
    "prompt_processor.suffix": "",
    "system.betas": [0.9, 0.99],
    "system.learning_rates.background": 0.001,
    "system.learning_rates.geometry.encoding": 0.01,
    "system.losses.z_variance.weight": 0.0,
    "guidance.sample_posterior": True,
    "data.on_sphere": 0.5,
    "report.every": 200,
    "report.size": 512,
    "report.n_frames": 120,
    "report.fps": 30,
    "report.elevation": 15.0,
}
MVDREAM = SHARED | {
    "data.n_view": 4,
    "data.elevation": [0.0, 30.0],
    "data.fov": [15.0, 60.0],
    "geometry.radius": 1.0,
    "material._target_": "models.materials.Albedo",
    "background.random_probability": 0.5,
    "background.group_size": 8,
    "prompt_processor.negative_prompt": NEGATIVE,
    "prompt_processor._target_": "guidance.prompts.PromptProcessor",
    "guidance._target_": "guidance.mv_sds.MultiViewSDS",
    "guidance.prior.n_view": 4,
    "guidance.scale": 50.0,
    "guidance.rescale": 0.5,
    "guidance.reconstruction": {"_target_": "guidance.reconstruction.InLatents"},
    "guidance.one_t": "batch",
    "system.weight_decay": 0.01,
    "system.learning_rates.geometry.network": 0.001,
    "system.learning_rates.geometry.feature_network": 0.001,
    "system.losses.sparsity.weight": 0.0,
    "system.losses.opacity.weight": 0.0,
    "system.losses.orientation.weight": 0.0,
    "renderer.normals": False,
    "trainer.max_steps": 10_000,
    "report.distance": 3.0,
    "report.fov": 40.0,
}
SHADING = MVDREAM | {
    "material._target_": "models.materials.DiffusePointLight",
    "material.ambient": 1.0,
    "material.diffuse": 0.0,
    "material.textureless_probability": 0.5,
    "material.soft_shading": True,
    "material.light_noise": 1.0,
    "material.light_distance": [0.8, 1.5],
    "material.group_size": 4,
    "renderer.normals": True,
}
DREAMFUSION = SHARED | {
    "data.elevation": [-10.0, 45.0],
    "data.fov": [40.0, 70.0],
    "data.distance": [1.5, 2.0],
    "data.position_shift": 0.1,
    "data.target_shift": 0.2,
    "data.up_shift": 0.02,
    "data.size": 64,
    "geometry.radius": 2.0,
    "material.ambient": 0.1,
    "material.diffuse": 0.9,
    "material.textureless_probability": 0.5,
    "material.soft_shading": False,
    "background.random_probability": 0.0,
    "prompt_processor.negative_prompt": "",
    "prompt_processor.view_words.front": 45.0,
    "prompt_processor.view_words.back": 45.0,
    "prompt_processor.view_words.overhead": 60.0,
    "guidance._target_": "guidance.sds.SDS",
    "guidance.prior.n_view": 1,
    "guidance.scale": 101.0,
    "guidance.weighting._target_": "guidance.weighting.dreamfusion",
    "guidance.min_t": 0.02,
    "guidance.max_t": 0.98,
    "system.batch_size": 1,
    "system.weight_decay": 0.0,
    "system.learning_rates.geometry.network": 0.01,
    "system.learning_rates.geometry.feature_network": 0.01,
    "system.losses.sparsity.weight": 1.0,
    "system.losses.opacity.weight": 0.0,
    "renderer.normals": True,
    "trainer.max_steps": 10_000,
    "report.distance": 2.0,
    "report.fov": 70.0,
}
PROLIFIC = SHARED | {
    "data.elevation": [-10.0, 45.0],
    "data.fov": [40.0, 70.0],
    "data.distance": [1.0, 1.5],
    "data.position_shift": 0.0,
    "geometry.radius": 1.0,
    "material._target_": "models.materials.Albedo",
    "background.random_probability": 0.5,
    "prompt_processor.view_words.front": 30.0,
    "prompt_processor.view_words.back": 30.0,
    "guidance._target_": "guidance.vsd.VSD",
    "guidance.prior.n_view": 1,
    "guidance.scale": 7.5,
    "guidance.weighting._target_": "guidance.weighting.dreamfusion",
    "guidance.min_t": 0.02,
    "guidance.rank": 4,
    "guidance.camera_dropout": 0.1,
    "guidance.critic_weight": 1.0,
    "system.batch_size": 1,
    "system.weight_decay": 0.01,
    "system.learning_rates.geometry.network": 0.001,
    "system.learning_rates.geometry.feature_network": 0.001,
    "system.learning_rates.guidance": 0.0001,
    "system.losses.sparsity.weight": 10.0,
    "system.losses.orientation.weight": 0.0,
    "trainer.max_steps": 25_000,
    "report.distance": 1.5,
    "report.fov": 70.0,
}
TABLES = {"mvdream": MVDREAM, "mvdream_shading": SHADING, "dreamfusion_sd": DREAMFUSION, "prolificdreamer": PROLIFIC}

# path -> {step: value}
MVDREAM_SCHEDULES = {
    "batch_size": {0: 8, 4999: 8, 5000: 4, 9999: 4},
    "sampler.size": {0: 64, 4999: 64, 5000: 256},
    "guidance.min_t": {0: 0.98, 4000: 0.5, 8000: 0.02, 9999: 0.02},
    "guidance.max_t": {0: 0.98, 4000: 0.74, 8000: 0.5, 9999: 0.5},
}
ORIENTATION = {"losses.orientation.weight": {0: 10.0, 2500: 505.0, 5000: 1000.0, 9999: 1000.0}}
SCHEDULES = {
    "mvdream": MVDREAM_SCHEDULES,
    "mvdream_shading": MVDREAM_SCHEDULES
    | ORIENTATION
    | {"scene.material.diffuse_probability": {0: 0.0, 4999: 0.0, 5000: 0.75}},
    "dreamfusion_sd": ORIENTATION
    | {
        "scene.material.diffuse_probability": {0: 0.0, 2000: 0.0, 2001: 0.75},
        "scene.geometry.encoding.active_levels": {0: 8, 2499: 8, 2500: 9, 3500: 11, 5999: 15, 6000: 16, 9999: 16},
    },
    "prolificdreamer": {
        "sampler.size": {0: 64, 4999: 64, 5000: 512},
        "guidance.max_t": {0: 0.98, 5000: 0.98, 5001: 0.5, 24_999: 0.5},
        "losses.opacity.weight": {0: 0.0, 10_000: 0.0, 10_001: 1000.0, 24_999: 1000.0},
    },
}


def composed(name: str) -> DictConfig:
    with initialize_config_dir(str(launch.CONF), version_base="1.3"):
        return compose("config", [f"experiment={name}", "prompt=a red dog", "prior.path=/models/prior"])


@pytest.mark.parametrize("name", sorted(TABLES))
def test_settings_are_those_of_the_recipe(name: str) -> None:
    config = OmegaConf.create(OmegaConf.to_container(composed(name), resolve=True))
    assert {path: OmegaConf.select(config, path) for path in TABLES[name]} == TABLES[name]


@pytest.mark.parametrize("name", sorted(TABLES))
def test_schedules_are_those_of_the_recipe(name: str) -> None:
    config = composed(name)
    schedules = flatten(instantiate(config.system.schedules, _convert_="all"))
    active = {path: schedule for path, schedule in schedules.items() if schedule is not None}
    steps = config.trainer.max_steps
    assert active.keys() == SCHEDULES[name].keys()
    for path, values in SCHEDULES[name].items():
        found = [active[path](step / steps) for step in values]
        assert found == pytest.approx(list(values.values())), path


@pytest.mark.parametrize("name", sorted(TABLES))
def test_ray_steps_are_those_of_512_samples_over_the_diagonal_of_the_cube(name: str) -> None:
    config = composed(name)
    step = instantiate(config.renderer, _convert_="all").step
    assert step == pytest.approx(1.732 * 2 * config.geometry.radius / 512, rel=2e-3)


@pytest.mark.parametrize("name", sorted(TABLES))
def test_field_has_the_published_resolutions_and_sizes(name: str) -> None:
    geometry = instantiate(composed(name).geometry, _convert_="all")
    resolutions = [16, 24, 34, 49, 71, 102, 148, 213, 308, 446, 646, 934, 1352, 1956, 2831, 4096]
    assert geometry.encoding.levels.resolution.tolist() == resolutions
    assert geometry.encoding.tables.shape == (6_299_960, 2)
    assert [tuple(weight.shape) for weight in geometry.network.weights] == [(64, 32), (1, 64)]
    assert [tuple(weight.shape) for weight in geometry.feature_network.weights] == [(64, 32), (3, 64)]


def test_cameras_of_mvdream_stand_at_08_to_1_over_the_tangent_of_half_the_fov(rng: torch.Generator) -> None:
    data = composed("mvdream").data
    cameras = FourViews(fov=tuple(data.fov), framing=data.framing, jitter=data.jitter).draw(4000, rng)
    relative = cameras.distance * torch.tan(cameras.fov_y / 2)
    assert [relative.min().item(), relative.max().item()] == pytest.approx([0.8, 1.0], abs=1e-3)
    assert cameras.distance.min() > 1.38 and cameras.distance.max() < 7.6
