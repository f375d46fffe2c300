import pytest
import torch
from diffusers import DDIMScheduler

from data.errors import UserError
from guidance.prior import Condition, Conditions
from guidance.sampling import sample, trailing_timesteps


@pytest.mark.parametrize("steps", [1, 7, 30, 60])
def test_timesteps_are_the_trailing_ones_of_diffusers(steps):
    scheduler = DDIMScheduler(num_train_timesteps=1000, timestep_spacing="trailing")
    scheduler.set_timesteps(steps)
    assert trailing_timesteps(1000, steps) == scheduler.timesteps.tolist()


@pytest.mark.parametrize("steps", [1, 7, 30, 60])
def test_on_the_way_to_a_single_image_every_step_finds_the_same_noise(gaussian_prior, fresh_rng, monkeypatch, steps):
    """With no spread the path is straight, if each step lands on the very level at which the next one asks."""
    prior, found = gaussian_prior(0.0, n_view=1, dtype=torch.float32), []
    predict = prior.predict_noise
    monkeypatch.setattr(prior, "predict_noise", lambda *seen: found.append(predict(*seen)) or found[-1])
    condition = Condition(torch.full((2, 1, 1), 0.6), None)
    images = sample(prior, Conditions(condition, condition), fresh_rng(), steps=steps, scale=1.0)
    assert len(found) == steps
    assert all(torch.allclose(noise, found[0], atol=1e-4) for noise in found)
    torch.testing.assert_close(images, torch.full_like(images, 0.6))


def test_ddim_with_the_exact_denoiser_of_a_gaussian_gives_the_gaussian_back(gaussian_prior, fresh_rng):
    """DDIM follows the probability-flow ODE, which for a Gaussian is x_0 = mean + std (x_T - alpha mean) / std_T."""
    mean, std = 0.6, 0.25
    prior = gaussian_prior(std, n_view=1, dtype=torch.float32)
    text = torch.full((16, 1, 1), mean)
    images = sample(
        prior, Conditions(Condition(text, None), Condition(0 * text, None)), fresh_rng(), steps=1000, scale=1.0
    )

    x_t = torch.randn((16, *prior.latent_shape), generator=fresh_rng())
    alpha_bar = prior.alphas_cumprod[-1]
    std_t = (alpha_bar * std**2 + 1 - alpha_bar).sqrt()
    expected = mean + std * (x_t - alpha_bar.sqrt() * mean) / std_t
    torch.testing.assert_close(images, prior.decode(expected), rtol=0.0, atol=0.02)
    assert abs(images.std().item() - std) < 0.01


def test_guidance_pushes_samples_past_the_conditional(gaussian_prior, conditions, fresh_rng):
    prior = gaussian_prior(0.25, n_view=1, dtype=torch.float32)
    asked = conditions(4, 0.5, 0.0, torch.float32)
    plain, guided = (sample(prior, asked, fresh_rng(), steps=20, scale=scale).mean() for scale in (1.0, 2.0))
    assert guided > plain + 0.2


def test_the_same_generator_gives_the_same_images(gaussian_prior, fresh_rng):
    prior = gaussian_prior(0.25, n_view=1, dtype=torch.float32)
    condition = Condition(torch.zeros(2, 1, 1), None)
    first, second = (sample(prior, Conditions(condition, condition), fresh_rng(), steps=3) for _ in range(2))
    torch.testing.assert_close(first, second, rtol=0.0, atol=0.0)


def test_more_steps_than_timesteps_are_refused():
    with pytest.raises(UserError, match=r"steps=1001: the prior has 1000 timesteps"):
        trailing_timesteps(1000, 1001)
