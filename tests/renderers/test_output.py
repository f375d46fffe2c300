import torch

from models.backgrounds import SolidBackground
from renderers.output import rgba
from renderers.raster import Raster
from tests.renderers.shapes import views
from tests.renderers.test_raster import scene


def test_colours_come_back_from_in_front_of_any_background(rng: torch.Generator) -> None:
    color, background = torch.rand(2, 8, 8, 3, generator=rng), torch.rand(2, 8, 8, 3, generator=rng)
    opacity = torch.rand(2, 8, 8, 1, generator=rng).clamp(min=0.02)
    picture = rgba(opacity * color + (1 - opacity) * background, opacity, background)
    torch.testing.assert_close(picture[..., :3], color, atol=1e-4, rtol=0)
    assert torch.equal(picture[..., 3:], opacity)


def test_what_is_transparent_is_black_and_nothing_leaves_the_range(rng: torch.Generator) -> None:
    background = torch.rand(1, 4, 4, 3, generator=rng)
    assert torch.equal(rgba(background, torch.zeros(1, 4, 4, 1), background), torch.zeros(1, 4, 4, 4))
    noisy = rgba(
        background + 0.1 * torch.randn(background.shape, generator=rng), torch.full((1, 4, 4, 1), 1e-6), background
    )
    assert noisy.min() >= 0 and noisy.max() <= 1


def test_a_red_ball_stays_red_up_to_its_transparent_rim() -> None:
    shown, cameras = scene(), views(2, 32)
    output = Raster(ssaa=2)(shown, cameras)
    picture = rgba(output.rgb, output.opacity, SolidBackground()(output.rgb, None))
    rim = (picture[..., 3] > 0.01) & (picture[..., 3] < 0.99)
    assert rim.sum() > 50
    torch.testing.assert_close(
        picture[rim][:, :3], torch.tensor([1.0, 0.0, 0.0]).expand(int(rim.sum()), 3), atol=1e-3, rtol=0
    )
