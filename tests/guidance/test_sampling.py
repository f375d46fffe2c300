import torch

from guidance.prior import Condition
from guidance.sampling import sample


def test_ddim_with_the_exact_denoiser_of_a_gaussian_gives_the_gaussian_back(gaussian_prior, fresh_rng):
    """DDIM follows the probability-flow ODE, which for a Gaussian is x_0 = mean + std (x_T - alpha mean) / std_T."""
    mean, std = 0.6, 0.25
    prior = gaussian_prior(std, n_view=1, dtype=torch.float32)
    text = torch.full((16, 1, 1), mean)
    images = sample(prior, Condition(text, None), Condition(0 * text, None), fresh_rng(), steps=1000, scale=1.0)

    x_t = torch.randn((16, *prior.latent_shape), generator=fresh_rng())
    alpha_bar = prior.alphas_cumprod[-1]
    std_t = (alpha_bar * std**2 + 1 - alpha_bar).sqrt()
    expected = mean + std * (x_t - alpha_bar.sqrt() * mean) / std_t
    torch.testing.assert_close(images, prior.decode(expected), rtol=0.0, atol=0.02)
    assert abs(images.std().item() - std) < 0.01


def test_guidance_pushes_samples_past_the_conditional(gaussian_prior, fresh_rng):
    prior = gaussian_prior(0.25, n_view=1, dtype=torch.float32)
    text = torch.full((4, 1, 1), 0.5)
    cond, uncond = Condition(text, None), Condition(0 * text, None)
    plain, guided = (sample(prior, cond, uncond, fresh_rng(), steps=20, scale=scale).mean() for scale in (1.0, 2.0))
    assert guided > plain + 0.2


def test_the_same_generator_gives_the_same_images(gaussian_prior, fresh_rng):
    prior = gaussian_prior(0.25, n_view=1, dtype=torch.float32)
    condition = Condition(torch.zeros(2, 1, 1), None)
    first, second = (sample(prior, condition, condition, fresh_rng(), steps=3) for _ in range(2))
    torch.testing.assert_close(first, second, rtol=0.0, atol=0.0)
