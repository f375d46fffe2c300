import torch

from renderers.marching import intersect_sphere, march

RADIUS, STEP = 0.6, 1.2 / 64
FULL = torch.ones(8, 8, 8, dtype=torch.bool)
ORIGIN, FORWARD = torch.tensor([[2.0, 0.0, 0.0]]), torch.tensor([[-1.0, 0.0, 0.0]])
STILL = torch.tensor([0.5])


def test_a_central_ray_crosses_the_diameter() -> None:
    near, far = intersect_sphere(ORIGIN, FORWARD, RADIUS)
    torch.testing.assert_close(torch.cat([near, far]), torch.tensor([1.4, 2.6]))


def test_segments_tile_the_chord() -> None:
    segments = march(ORIGIN, FORWARD, STILL, FULL, RADIUS, STEP)
    assert len(segments.ray) == 64
    torch.testing.assert_close(segments.t_start[1:], segments.t_end[:-1])
    torch.testing.assert_close(segments.t_start[0], torch.tensor(1.4))
    torch.testing.assert_close(segments.t_end[-1], torch.tensor(2.6))


def test_a_ray_from_inside_starts_at_its_origin_and_one_that_misses_has_no_samples() -> None:
    inside = march(torch.zeros(1, 3), FORWARD, STILL, FULL, RADIUS, STEP)
    assert len(inside.ray) == 32 and inside.t_start[0] == 0
    assert len(march(ORIGIN, -FORWARD, STILL, FULL, RADIUS, STEP).ray) == 0
    assert len(march(ORIGIN + 1, FORWARD, STILL, FULL, RADIUS, STEP).ray) == 0


def test_empty_cells_are_skipped() -> None:
    front_half = FULL.clone()
    front_half[:4] = False  # x < 0
    segments = march(ORIGIN, FORWARD, STILL, front_half, RADIUS, STEP)
    assert len(segments.ray) == 32 and segments.t_end.max() <= 2.0 + 1e-5


def test_jitter_covers_every_depth_evenly(rng: torch.Generator) -> None:
    n = 4000
    jitter = torch.rand(n, generator=rng)
    segments = march(ORIGIN.expand(n, -1), FORWARD.expand(n, -1), jitter, FULL, RADIUS, STEP)
    share = torch.histc(segments.t_middle, bins=10, min=1.4, max=2.6) / len(segments.ray)
    torch.testing.assert_close(share, torch.full((10,), 0.1), atol=0.005, rtol=0)


def test_segments_are_sorted_by_ray_then_depth(rng: torch.Generator) -> None:
    origins = 2 * torch.nn.functional.normalize(torch.randn(50, 3, generator=rng), dim=-1)
    segments = march(origins, -origins / 2, torch.rand(50, generator=rng), FULL, RADIUS, STEP)
    assert (segments.ray.diff() >= 0).all()
    assert (segments.t_start.diff()[segments.ray.diff() == 0] > 0).all()
