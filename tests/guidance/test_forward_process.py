import pytest
import torch

from data.errors import UserError
from guidance import weighting
from guidance.diffusion import alpha_sigma, draw_timesteps, noise_to_x0, v_to_noise


@pytest.fixture
def process(gaussian_prior):
    """alphas_cumprod, and x0, noise, noisy, alpha, sigma at a few timesteps."""
    alphas_cumprod = gaussian_prior(std=1.0, n_view=1).alphas_cumprod
    x0, noise = torch.randn(2, 4, 3, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    alpha, sigma = alpha_sigma(alphas_cumprod, torch.tensor([0, 20, 500, 999]))
    return x0, noise, alpha * x0 + sigma * noise, alpha, sigma


def test_signal_and_noise_keep_unit_power(process):
    *_, alpha, sigma = process
    torch.testing.assert_close(alpha**2 + sigma**2, torch.ones_like(alpha))


def test_x0_is_recovered_from_the_noise(process):
    x0, noise, noisy, alpha, sigma = process
    torch.testing.assert_close(noise_to_x0(noisy, noise, alpha, sigma), x0)


def test_noise_is_recovered_from_v(process):
    x0, noise, noisy, alpha, sigma = process
    torch.testing.assert_close(v_to_noise(noisy, alpha * noise - sigma * x0, alpha, sigma), noise)


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(0.02, 0.025, range(20, 26)), (0.98, 0.98, [980]), (0.998, 1.0, [998, 999])]
)
def test_timesteps_reach_both_ends_of_their_range_and_no_further(low, high, expected, fresh_rng):
    assert set(draw_timesteps(2000, low, high, 1000, fresh_rng()).tolist()) == set(expected)


def test_reconstruction_weight_has_the_published_values(gaussian_prior):
    alpha_bar = gaussian_prior(std=1.0, n_view=1).alphas_cumprod[torch.tensor([980, 500, 20])]
    expected = torch.tensor([13.04, 1.62, 0.138], dtype=torch.float64)
    torch.testing.assert_close(weighting.reconstruction(alpha_bar), expected, rtol=5e-3, atol=0.0)


def test_weights_are_their_closed_forms():
    alpha_bar = torch.tensor([0.25], dtype=torch.float64)
    assert weighting.dreamfusion(alpha_bar).item() == 0.75
    assert weighting.uniform(alpha_bar).item() == 1.0
    assert weighting.fantasia3d(alpha_bar).item() == 0.375


def test_an_empty_range_of_timesteps_is_refused(fresh_rng):
    with pytest.raises(UserError, match=r"guidance\.min_t=0\.9 lies above guidance\.max_t=0\.5"):
        draw_timesteps(4, 0.9, 0.5, 1000, fresh_rng())
