import pytest
import torch

from models.materials import Albedo, DiffusePointLight, Light

UP = torch.tensor([[0.0, 0.0, 1.0]])


def test_albedo_is_a_sigmoid_whatever_the_light(rng: torch.Generator) -> None:
    features = torch.randn(10, 3, generator=rng)
    material = Albedo()
    rgb = material(features, torch.zeros(10, 3), None, material.light(torch.ones(2, 3), rng))
    assert torch.equal(rgb, torch.sigmoid(features))


@pytest.mark.parametrize(("angle", "cosine"), [(0.0, 1.0), (60.0, 0.5), (90.0, 0.0), (120.0, 0.0)])
def test_lambert_follows_the_cosine(angle: float, cosine: float) -> None:
    radians = torch.deg2rad(torch.tensor(angle))
    light = Light(torch.stack([torch.sin(radians), torch.tensor(0.0), torch.cos(radians)])[None], 0.2, 0.7)
    rgb = DiffusePointLight()(torch.zeros(1, 3), torch.zeros(1, 3), UP, light)
    torch.testing.assert_close(rgb, torch.full((1, 3), 0.5 * (0.2 + 0.7 * cosine)))


def test_each_point_is_lit_by_the_light_of_its_image() -> None:
    lights = Light(torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]]), ambient=0.0, diffuse=1.0)
    rgb = DiffusePointLight()(torch.zeros(2, 3), torch.zeros(2, 3), UP.repeat(2, 1), lights.on(torch.tensor([0, 1])))
    torch.testing.assert_close(rgb, torch.tensor([[0.5] * 3, [0.0] * 3]))


def test_zero_diffuse_probability_trains_on_albedo_alone(rng: torch.Generator) -> None:
    material = DiffusePointLight(diffuse_probability=0.0)
    lights = [material.light(torch.ones(4, 3), rng) for _ in range(20)]
    assert all(light.ambient == 1 and light.diffuse == 0 and light.textured for light in lights)


def test_shares_of_lit_and_textureless_renders(rng: torch.Generator) -> None:
    material = DiffusePointLight(diffuse_probability=0.75, textureless_probability=0.5)
    lights = [material.light(torch.ones(4, 3), rng) for _ in range(1000)]
    lit = [light for light in lights if light.diffuse > 0]
    assert len(lit) / 1000 == pytest.approx(0.75, abs=0.05)
    assert sum(not light.textured for light in lit) / len(lit) == pytest.approx(0.5, abs=0.05)


def test_soft_shading_keeps_the_brightest_point_at_one(rng: torch.Generator) -> None:
    material = DiffusePointLight(diffuse_probability=1.0, soft_shading=True)
    light = material.light(torch.ones(4, 3), rng)
    assert 0 < light.diffuse < 1 and light.ambient + light.diffuse == pytest.approx(1)


def test_drawn_lights_keep_their_distance_and_evaluation_draws_none(rng: torch.Generator) -> None:
    camera = torch.tensor([[2.0, 0.0, 0.0]])
    material = DiffusePointLight(light_distance=(0.8, 1.5))
    distances = torch.cat([material.light(camera, rng).position.norm(dim=-1) for _ in range(50)])
    assert distances.min() >= 0.8 and distances.max() <= 1.5
    assert torch.equal(material.light(camera, None).position, camera)


def test_views_of_one_object_share_the_noise_of_their_light_and_objects_do_not(rng: torch.Generator) -> None:
    light = DiffusePointLight(light_distance=(1.0, 2.0), group_size=4).light(torch.zeros(8, 3), rng)
    groups = light.position.unflatten(0, (2, 4))
    assert (groups == groups[:, :1]).all() and not torch.equal(groups[0], groups[1])
    distance = groups[:, 0].norm(dim=-1)
    assert not torch.isclose(distance[0], distance[1])
