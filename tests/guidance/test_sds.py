import pytest
import torch

from guidance import weighting
from guidance.diffusion import alpha_sigma, draw_noise, draw_timesteps
from guidance.sds import SDS

WEIGHTS = {
    weighting.dreamfusion: lambda alpha, sigma: sigma**2,
    weighting.uniform: lambda alpha, sigma: 1.0,
    weighting.fantasia3d: lambda alpha, sigma: alpha * sigma**2,
    weighting.reconstruction: lambda alpha, sigma: sigma / alpha,
}


@pytest.mark.parametrize("weight", WEIGHTS)
def test_gradient_is_the_weighted_residual_over_the_batch(gaussian_prior, conditions, images, fresh_rng, weight):
    prior, scale = gaussian_prior(std=0.5, n_view=1), 7.5
    asked = conditions(8, 1.0, 0.0)
    output = SDS(prior, scale, weight)(images, asked, fresh_rng())
    output.loss.backward()

    replay = fresh_rng()
    t = draw_timesteps(8, 0.02, 0.98, 1000, replay)
    noise = draw_noise(prior.encode(images), replay)
    alpha, sigma = alpha_sigma(prior.alphas_cumprod, t)
    noisy = alpha * prior.encode(images) + sigma * noise
    c, u = prior.predict_noise(noisy, t, asked.cond), prior.predict_noise(noisy, t, asked.uncond)
    expected = WEIGHTS[weight](alpha, sigma) * (u + scale * (c - u) - noise) / 8
    torch.testing.assert_close(output.t, t)
    torch.testing.assert_close(images.grad, prior.decode(expected.detach()))


def test_an_image_that_the_prior_is_certain_of_gets_no_gradient(gaussian_prior, conditions, images, fresh_rng):
    certain = torch.full_like(images, 0.3).requires_grad_()
    output = SDS(gaussian_prior(std=0.0, n_view=1))(certain, conditions(8, 0.3, 0.3), fresh_rng())
    output.loss.backward()
    assert certain.grad.abs().max() < 1e-9
    assert output.residual < 1e-9


def test_descending_the_loss_brings_images_to_what_the_text_says(gaussian_prior, conditions, images, fresh_rng):
    guidance, generator = SDS(gaussian_prior(std=0.05, n_view=1), scale=1.0, weighting=weighting.uniform), fresh_rng()
    optimiser = torch.optim.Adam([images], lr=0.02)
    for _ in range(150):
        optimiser.zero_grad()
        guidance(images, conditions(8, 0.7, 0.0), generator).loss.backward()
        optimiser.step()
    assert abs(images.mean().item() - 0.7) < 0.02


def test_each_image_has_its_own_timestep(gaussian_prior, conditions, images, fresh_rng):
    output = SDS(gaussian_prior(std=0.5, n_view=1))(images, conditions(8, 1.0, 0.0), fresh_rng())
    assert len(set(output.t.tolist())) > 1


def test_views_that_attend_to_each_other_share_their_timestep(gaussian_prior, conditions, images, fresh_rng):
    output = SDS(gaussian_prior(std=0.5, n_view=4))(images, conditions(8, 1.0, 0.0), fresh_rng())
    first, second = output.t.split(4)
    assert first.unique().numel() == second.unique().numel() == 1 and first[0] != second[0]


def test_the_same_generator_gives_the_same_loss(gaussian_prior, conditions, images, fresh_rng):
    guidance = SDS(gaussian_prior(std=0.5, n_view=1))
    losses = [guidance(images, conditions(8, 1.0, 0.0), fresh_rng()).loss.item() for _ in range(2)]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("size", [4, 8, 16])
def test_images_of_any_size_are_seen_at_the_prior_s_size(gaussian_prior, conditions, fresh_rng, size):
    images = torch.rand(2, size, size, 3, dtype=torch.float64, requires_grad=True)
    output = SDS(gaussian_prior(std=0.5, n_view=1, image_size=8))(images, conditions(2, 1.0, 0.0), fresh_rng())
    output.loss.backward()
    assert output.x0.shape == (2, 3, 8, 8)
    assert images.grad.abs().min() > 0


def test_clip_bounds_each_entry_of_the_gradient(gaussian_prior, conditions, images, fresh_rng):
    gradients = []
    for clip in (None, 0.1):
        output = SDS(gaussian_prior(std=0.5, n_view=1), scale=5.0, clip=clip)(
            images, conditions(8, 1.0, 0.0), fresh_rng()
        )
        gradients.append(8 * torch.autograd.grad(output.loss, images)[0])
    assert gradients[0].abs().max() > 0.2
    torch.testing.assert_close(gradients[1], gradients[0].clamp(-0.1, 0.1))
