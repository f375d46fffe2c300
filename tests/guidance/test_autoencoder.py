import pytest
import torch
from diffusers import AutoencoderKL

from guidance.autoencoder import Autoencoder


def autoencoder(**scales) -> Autoencoder:
    torch.manual_seed(0)
    vae = AutoencoderKL(
        block_out_channels=(8, 8),
        norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        **scales,
    )
    return Autoencoder(vae.eval().requires_grad_(False))


@pytest.fixture
def images():
    return torch.rand(2, 8, 8, 3)


def test_stable_diffusion_s_latents_are_shifted_and_scaled(images):
    raw = autoencoder(scaling_factor=1.0).encode(images)
    torch.testing.assert_close(autoencoder(scaling_factor=0.18215).encode(images), 0.18215 * raw)
    torch.testing.assert_close(autoencoder(scaling_factor=0.5, shift_factor=0.1).encode(images), 0.5 * (raw - 0.1))


def test_the_listed_mean_and_std_come_before_the_scalars(images):
    raw = autoencoder(scaling_factor=1.0).encode(images)
    listed = autoencoder(scaling_factor=0.18215, latents_mean=[1.0, 2.0, 3.0, 4.0], latents_std=[1.0, 2.0, 4.0, 8.0])
    mean, std = torch.tensor([[1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 4.0, 8.0]])[:, :, None, None]
    torch.testing.assert_close(listed.encode(images), (raw - mean) / std)


def test_decoding_does_not_depend_on_the_scale_of_latents(images):
    plain, scaled = autoencoder(scaling_factor=1.0), autoencoder(scaling_factor=0.25, shift_factor=0.5)
    torch.testing.assert_close(scaled.decode(scaled.encode(images)), plain.decode(plain.encode(images)))


def test_the_posterior_is_sampled_only_with_a_generator(images, fresh_rng):
    vae = autoencoder()
    mean, first, again = vae.encode(images), vae.encode(images, fresh_rng()), vae.encode(images, fresh_rng())
    torch.testing.assert_close(first, again, rtol=0.0, atol=0.0)
    assert not torch.allclose(mean, first)


def test_the_gradient_reaches_the_images(images):
    images.requires_grad_()
    autoencoder().encode(images).sum().backward()
    assert images.grad.abs().sum() > 0
