from functools import partial

import pytest
import torch
from diffusers import DDIMScheduler

from data.errors import UserError
from guidance.prior import Condition, Conditions
from guidance.sampling import DDIM, draw, original, trailing


def ddim_in_float64(prior, x, t, t_previous, alpha_bar_last, mean):
    """x_0 = (x_t - sqrt(1 - a) eps) / sqrt(a); x_s = sqrt(a_s) x_0 + sqrt(1 - a_s) eps, written out for one mean."""
    a = prior.alphas_cumprod.double()
    for now, previous in zip(t, t_previous, strict=True):
        eps = (1 - a[now]).sqrt() * (x - a[now].sqrt() * mean) / (a[now] * prior.std**2 + 1 - a[now])
        x_0 = (x - (1 - a[now]).sqrt() * eps) / a[now].sqrt()
        a_s = alpha_bar_last if previous is None else a[previous]
        x = a_s**0.5 * x_0 + (1 - a_s) ** 0.5 * eps
    return x


@pytest.mark.parametrize("spacing", [trailing, original])
def test_fifty_steps_follow_the_formula(gaussian_prior, fresh_rng, spacing):
    prior = gaussian_prior(0.25, n_view=1, dtype=torch.float32)
    text = torch.full((4, 1, 1), 0.6)
    images = DDIM(50, 1.0, spacing)(prior, Conditions(Condition(text, None), Condition(0 * text, None)), fresh_rng())

    first, last_level = (999, 1.0) if spacing is trailing else (981, float(prior.alphas_cumprod[0]))
    t = [first - 20 * i for i in range(50)]
    noise = torch.randn((4, *prior.latent_shape), generator=fresh_rng()).double()
    expected = ddim_in_float64(prior, noise, t, [*t[1:], None], last_level, 0.6)
    torch.testing.assert_close(images.double(), prior.decode(expected), rtol=0.0, atol=1e-4)


@pytest.mark.parametrize(
    ("steps", "first", "stride", "count"), [(50, 981, 20, 50), (25, 961, 40, 25), (30, 991, 33, 31)]
)
def test_original_timesteps_are_the_published_ones(steps, first, stride, count):
    """range(0, 1000, 1000 // S) + 1, then alpha_bar[0]; S = 30 makes 31 of them, in the published code, too."""
    assert original(1000, steps) == [*range(first, 0, -stride), 0]
    assert len(original(1000, steps)) == count + 1


def test_original_spacing_past_the_last_timestep_is_refused():
    with pytest.raises(UserError, match=r"sampler.steps=27: .*begin at timestep 1000, but the last is 999"):
        original(1000, 27)


@pytest.mark.parametrize("steps", [10, 25, 50])
def test_original_spacing_is_the_leading_one_of_diffusers(gaussian_prior, conditions, fresh_rng, steps):
    prior = gaussian_prior(0.25, n_view=1, dtype=torch.float32)
    asked = conditions(4, 0.5, 0.1, torch.float32)
    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear",
        steps_offset=1, set_alpha_to_one=False, clip_sample=False, timestep_spacing="leading",
    )  # fmt: skip
    scheduler.set_timesteps(steps)
    assert scheduler.timesteps.tolist() == original(1000, steps)[:-1]
    x = torch.randn((4, *prior.latent_shape), generator=fresh_rng())
    for t in scheduler.timesteps:
        cond, uncond = (prior.predict_noise(x, t.expand(4), one) for one in (asked.cond, asked.uncond))
        x = scheduler.step(uncond + 2.0 * (cond - uncond), t, x).prev_sample
    images = DDIM(steps, 2.0, original)(prior, asked, fresh_rng())
    torch.testing.assert_close(images, prior.decode(x), rtol=0.0, atol=1e-4)


@pytest.mark.parametrize("steps", [1, 7, 30, 60])
def test_timesteps_are_the_trailing_ones_of_diffusers(steps):
    scheduler = DDIMScheduler(num_train_timesteps=1000, timestep_spacing="trailing")
    scheduler.set_timesteps(steps)
    assert trailing(1000, steps) == [*scheduler.timesteps.tolist(), -1]


@pytest.mark.parametrize("steps", [1, 7, 30, 60])
def test_on_the_way_to_a_single_image_every_step_finds_the_same_noise(gaussian_prior, fresh_rng, monkeypatch, steps):
    """With no spread the path is straight, if each step lands on the very level at which the next one asks."""
    prior, found = gaussian_prior(0.0, n_view=1, dtype=torch.float32), []
    predict = prior.predict_noise
    monkeypatch.setattr(prior, "predict_noise", lambda *seen: found.append(predict(*seen)) or found[-1])
    condition = Condition(torch.full((2, 1, 1), 0.6), None)
    images = DDIM(steps, scale=1.0)(prior, Conditions(condition, condition), fresh_rng())
    assert len(found) == steps
    assert all(torch.allclose(noise, found[0], atol=1e-4) for noise in found)
    torch.testing.assert_close(images, torch.full_like(images, 0.6))


def test_ddim_with_the_exact_denoiser_of_a_gaussian_gives_the_gaussian_back(gaussian_prior, fresh_rng):
    """DDIM follows the probability-flow ODE, which for a Gaussian is x_0 = mean + std (x_T - alpha mean) / std_T."""
    mean, std = 0.6, 0.25
    prior = gaussian_prior(std, n_view=1, dtype=torch.float32)
    text = torch.full((16, 1, 1), mean)
    images = DDIM(1000, 1.0)(prior, Conditions(Condition(text, None), Condition(0 * text, None)), fresh_rng())

    x_t = torch.randn((16, *prior.latent_shape), generator=fresh_rng())
    alpha_bar = prior.alphas_cumprod[-1]
    std_t = (alpha_bar * std**2 + 1 - alpha_bar).sqrt()
    expected = mean + std * (x_t - alpha_bar.sqrt() * mean) / std_t
    torch.testing.assert_close(images, prior.decode(expected), rtol=0.0, atol=0.02)
    assert abs(images.std().item() - std) < 0.01


@pytest.mark.parametrize("eta", [0.5, 1.0])
@pytest.mark.parametrize("spacing", [trailing, original])
def test_fresh_noise_leaves_the_gaussian_what_it_is(gaussian_prior, conditions, fresh_rng, eta, spacing):
    prior = gaussian_prior(0.25, n_view=1, dtype=torch.float32)
    asked = conditions(32, 0.6, 0.6, torch.float32)
    images = DDIM(500, 1.0, spacing, eta)(prior, asked, fresh_rng())
    assert abs(images.mean().item() - 0.6) < 0.02 and abs(images.std().item() - 0.25) < 0.015
    assert not torch.allclose(images, DDIM(500, 1.0, spacing)(prior, asked, fresh_rng()), atol=0.1)


def test_fresh_noise_is_as_much_as_diffusers_adds(gaussian_prior, conditions, fresh_rng):
    prior = gaussian_prior(0.25, n_view=1, dtype=torch.float32)
    asked = conditions(4, 0.5, 0.5, torch.float32)
    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear",
        steps_offset=1, set_alpha_to_one=False, clip_sample=False, timestep_spacing="leading",
    )  # fmt: skip
    scheduler.set_timesteps(20)
    rng = fresh_rng()
    x = torch.randn((4, *prior.latent_shape), generator=rng)
    for t in scheduler.timesteps:
        noise = prior.predict_noise(x, t.expand(4), asked.cond)
        x = scheduler.step(noise, t, x, eta=0.7, generator=rng).prev_sample
    images = DDIM(20, 1.0, original, eta=0.7)(prior, asked, fresh_rng())
    torch.testing.assert_close(images, prior.decode(x), rtol=0.0, atol=1e-4)


def test_guidance_pushes_samples_past_the_conditional(gaussian_prior, conditions, fresh_rng):
    prior = gaussian_prior(0.25, n_view=1, dtype=torch.float32)
    asked = conditions(4, 0.5, 0.0, torch.float32)
    plain, guided = (DDIM(20, scale)(prior, asked, fresh_rng()).mean() for scale in (1.0, 2.0))
    assert guided > plain + 0.2


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_the_same_generator_gives_the_same_images(gaussian_prior, conditions, fresh_rng, eta):
    prior = gaussian_prior(0.25, n_view=1, dtype=torch.float32)
    sampler = DDIM(3, eta=eta)
    first, second = (sampler(prior, conditions(2, 0.0, 0.0, torch.float32), fresh_rng()) for _ in range(2))
    torch.testing.assert_close(first, second, rtol=0.0, atol=0.0)


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_a_generator_of_its_own_makes_a_share_independent_of_the_others(gaussian_prior, conditions, eta):
    prior = gaussian_prior(0.25, n_view=1, dtype=torch.float32)
    seeded = lambda seed: torch.Generator().manual_seed(seed)
    sampler = DDIM(3, eta=eta)
    both = sampler(prior, conditions(4, 0.5, 0.0, torch.float32), [seeded(1), seeded(2)])
    alone = sampler(prior, conditions(2, 0.5, 0.0, torch.float32), seeded(2))
    torch.testing.assert_close(both[2:], alone)


def test_shares_are_equal():
    with pytest.raises(AssertionError, match="5 images are no equal shares for 2"):
        draw(5, (1, 1, 1), [torch.Generator(), torch.Generator()])


@pytest.mark.parametrize("spacing", [trailing, original])
def test_more_steps_than_timesteps_are_refused(spacing):
    with pytest.raises(UserError, match=r"steps=1001: the prior has 1000 timesteps"):
        spacing(1000, 1001)


def test_name_tells_the_spacing_also_of_a_configuration():
    assert DDIM(spacing=partial(original)).name == "DDIM(original, eta=0)"
