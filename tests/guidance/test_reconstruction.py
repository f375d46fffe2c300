import pytest
import torch

from guidance.reconstruction import InLatents, InPixels


class Doubling:
    """Latents are pictures at half the brightness."""

    alphas_cumprod = torch.ones(1)
    n_view, image_size = 1, 8

    def encode(self, images, rng=None):
        return images.movedim(-1, 1) / 2

    def decode(self, latents):
        return latents.movedim(1, -1) * 2

    def predict_noise(self, noisy, t, condition):
        return noisy


@pytest.mark.parametrize("reconstruction", [InLatents(), InPixels()])
def test_nothing_to_improve_gives_no_gradient(reconstruction, rng):
    images = torch.rand(2, 8, 8, 3, generator=rng).requires_grad_()
    latents = Doubling().encode(images)
    reconstruction(Doubling(), images, latents, latents.detach()).backward()
    assert images.grad.abs().max() == 0


def test_the_gradient_in_pixels_is_the_difference_of_the_pictures(rng):
    images, wanted = torch.rand(2, 2, 8, 8, 3, generator=rng).unbind()
    images = images.requires_grad_()
    loss = InPixels()(Doubling(), images, Doubling().encode(images), Doubling().encode(wanted))
    loss.backward()
    torch.testing.assert_close(images.grad, (images - wanted).detach() / 2)


def test_small_renders_weigh_as_much_as_large_ones():
    wanted = torch.full((1, 3, 8, 8), 0.5)
    losses = [float(InPixels()(Doubling(), torch.full((1, s, s, 3), 0.4), wanted, wanted)) for s in (4, 8)]
    assert losses[0] == pytest.approx(losses[1])
