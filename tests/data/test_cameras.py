import math
from dataclasses import replace

import pytest
import torch

from data.cameras import condition, look_at, look_at_origin
from data.samplers import FourViews, Orbit, RandomViews, turntable


def test_projecting_a_point_on_a_ray_gives_its_pixel_back(rng):
    cameras = Orbit(size=16).draw(5, rng)
    rays = cameras.rays()
    points = rays.origins + 1.7 * rays.directions
    rows, columns = torch.meshgrid(torch.arange(16) + 0.5, torch.arange(16) + 0.5, indexing="ij")
    for i in range(5):
        pixel = cameras[i : i + 1].project(points[i].reshape(-1, 3))[0].reshape(16, 16, 3)
        torch.testing.assert_close(pixel[..., 0], columns, atol=1e-3, rtol=0)
        torch.testing.assert_close(pixel[..., 1], rows, atol=1e-3, rtol=0)


def test_wide_images_keep_square_pixels():
    camera = look_at_origin(torch.zeros(1), torch.zeros(1), torch.full((1,), 2.0), torch.full((1,), 0.7), 10, 20)
    rays = camera.rays().directions[0, :]
    across, down = rays[5, 10] - rays[5, 9], rays[5, 10] - rays[4, 10]
    assert float(across.norm()) == pytest.approx(float(down.norm()), rel=1e-2)


def test_azimuth_zero_stands_before_the_front_and_y_is_to_its_right():
    front = turntable(4, 8, elevation=0.0)[:1]
    assert front.position[0, 0] > 0 and front.position[0, 1].abs() < 1e-6
    column, _, _ = front.project(torch.tensor([[0.0, 0.1, 0.0]]))[0, 0]
    assert column > 4  # y to the right in the picture of the front


def test_camera_frames_are_right_handed_and_up_is_up(rng):
    cameras = Orbit(size=4).draw(20, rng)
    rotation = cameras.c2w[:, :3, :3]
    torch.testing.assert_close(rotation @ rotation.mT, torch.eye(3).expand(20, 3, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.linalg.det(rotation), torch.ones(20))
    assert (cameras.c2w[:, 2, 1] > 0).all()


def test_condition_has_unit_position_and_leaves_the_cameras_alone(rng):
    cameras = Orbit(size=4).draw(3, rng)
    before = cameras.c2w.clone()
    matrix = condition(cameras).reshape(3, 4, 4)
    torch.testing.assert_close(matrix[:, :3, 3].norm(dim=-1), torch.ones(3))
    torch.testing.assert_close(cameras.c2w, before)


def test_four_views_are_orthogonal_and_share_the_rest(rng):
    cameras = FourViews(size=4).draw(8, rng)
    azimuth = cameras.azimuth.reshape(2, 4)
    torch.testing.assert_close(azimuth.diff(dim=1), torch.full((2, 3), math.pi / 2))
    for shared in (cameras.elevation, cameras.distance, cameras.fov_y):
        assert (shared.reshape(2, 4).std(dim=1) == 0).all()


def test_four_views_refuse_a_broken_group(rng):
    with pytest.raises(ValueError, match="multiple of n_view"):
        FourViews().draw(6, rng)


def test_frontal_orbit_looks_mostly_at_the_front(rng):
    azimuth = Orbit(frontal=0.8).draw(4000, rng).azimuth
    share = (azimuth.abs() < math.pi / 4).float().mean().item()
    assert share == pytest.approx(0.8 + 0.2 / 4, abs=0.03)


def test_the_same_generator_state_draws_the_same_cameras():
    draw = lambda: FourViews().draw(4, torch.Generator().manual_seed(3)).c2w
    assert torch.equal(draw(), draw())


def test_random_views_keep_to_their_ranges_whatever_the_fov(rng):
    cameras = RandomViews(elevation=(-10.0, 45.0), fov=(40.0, 70.0), distance=(1.0, 1.5)).draw(4000, rng)
    for values, low, high in [
        (torch.rad2deg(cameras.elevation), -10, 45),
        (torch.rad2deg(cameras.fov_y), 40, 70),
        (cameras.distance, 1.0, 1.5),
    ]:
        assert [values.min().item(), values.max().item()] == pytest.approx([low, high], abs=0.01 * (high - low))
    assert torch.corrcoef(torch.stack([cameras.distance, cameras.fov_y]))[0, 1].abs() < 0.05


def test_random_views_of_a_batch_go_around_the_object(rng):
    azimuth = torch.rad2deg(RandomViews().draw(8, rng).azimuth)
    assert ((azimuth + 180) // 45).tolist() == list(range(8))


@pytest.mark.parametrize("sampler", [RandomViews(elevation=(0.0, 90.0)), FourViews(elevation=(0.0, 90.0), n_view=1)])
@pytest.mark.parametrize(("on_sphere", "middle"), [(0.0, 45.0), (1.0, 30.0)])  # sin 30 = 1/2
def test_elevations_are_uniform_in_degrees_or_on_the_sphere(rng, sampler, on_sphere, middle):
    elevation = replace(sampler, on_sphere=on_sphere).draw(8000, rng).elevation
    assert torch.rad2deg(elevation).median().item() == pytest.approx(middle, abs=1.5)


def test_batches_are_on_the_sphere_by_their_share(rng):
    sampler = RandomViews(elevation=(0.0, 90.0), on_sphere=0.5)
    lowest = torch.stack([torch.rad2deg(sampler.draw(1000, rng).elevation).median() for _ in range(100)])
    assert (lowest < 37.5).float().mean().item() == pytest.approx(0.5, abs=0.15)


def test_unshaken_views_look_at_the_origin_and_shaken_ones_past_it(rng):
    straight, shaken = RandomViews().draw(500, rng), RandomViews(position_shift=0.1, target_shift=0.2).draw(500, rng)
    origin = torch.zeros(1, 3)
    torch.testing.assert_close(straight.project(origin)[:, 0, :2], torch.full((500, 2), 32.0), atol=1e-2, rtol=0)
    assert shaken.project(origin)[:, 0, :2].std() > 3
    moved = shaken.position.norm(dim=-1) - shaken.distance
    assert 0.05 < moved.abs().max() < 0.1 * 3**0.5


def test_looking_at_the_origin_is_looking_at(rng):
    cameras = Orbit().draw(20, rng)
    up = torch.tensor([[0.0, 0.0, 1.0]]).expand(20, 3)
    torch.testing.assert_close(look_at(cameras.position, torch.zeros(20, 3), up), cameras.c2w, atol=1e-5, rtol=0)


def test_turntable_stands_where_it_is_told():
    assert turntable(3, 8, fov=40.0, distance=3.0).distance.tolist() == pytest.approx([3.0] * 3)
    assert turntable(3, 8).distance.tolist() == pytest.approx([0.68 / math.tan(math.radians(20))] * 3)
