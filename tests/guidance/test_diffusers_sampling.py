from functools import partial

import diffusers
import pytest
import torch

from data.errors import UserError
from guidance.diffusers_sampling import DiffusersSampler
from guidance.sampling import DDIM, original

LEADING = partial(diffusers.DDIMScheduler, steps_offset=1, set_alpha_to_one=False, timestep_spacing="leading")
SCHEDULERS = [
    LEADING,
    partial(diffusers.DPMSolverMultistepScheduler, timestep_spacing="trailing"),
    diffusers.EulerDiscreteScheduler,
    partial(diffusers.EulerDiscreteScheduler, use_karras_sigmas=True),
    diffusers.EulerAncestralDiscreteScheduler,
    diffusers.PNDMScheduler,
    partial(diffusers.PNDMScheduler, skip_prk_steps=True),
    diffusers.UniPCMultistepScheduler,
]


@pytest.mark.parametrize("steps", [10, 50])
def test_diffusers_ddim_is_ours(gaussian_prior, conditions, fresh_rng, steps):
    """With values beyond [-1, 1], which diffusers would clip unless told."""
    prior = gaussian_prior(0.25, n_view=1, dtype=torch.float32)
    asked = conditions(4, 3.0, 0.1, torch.float32)
    ours, theirs = DDIM(steps, 2.0, original), DiffusersSampler(LEADING, steps, 2.0)
    torch.testing.assert_close(ours(prior, asked, fresh_rng()), theirs(prior, asked, fresh_rng()), rtol=0.0, atol=1e-4)


@pytest.mark.parametrize(
    ("scheduler", "eta"), [(diffusers.EulerDiscreteScheduler, 0.0), (diffusers.EulerAncestralDiscreteScheduler, 1.0)]
)
def test_euler_steps_in_sigma_are_ddim(gaussian_prior, conditions, fresh_rng, scheduler, eta):
    """Song et al. 2021, section 4.3; and with as much fresh noise as there can be, the ancestral ones."""
    prior = gaussian_prior(0.25, n_view=1, dtype=torch.float32)
    asked = conditions(4, 0.5, 0.1, torch.float32)
    theirs = DiffusersSampler(partial(scheduler, timestep_spacing="trailing"), 20, 2.0)(prior, asked, fresh_rng())
    ours = DDIM(20, 2.0, eta=eta)(prior, asked, fresh_rng())
    torch.testing.assert_close(ours, theirs, rtol=0.0, atol=0.005)  # its x_T is shorter by sqrt(1 - alpha_bar_T)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_every_scheduler_gives_the_gaussian_back(gaussian_prior, conditions, fresh_rng, scheduler):
    prior = gaussian_prior(0.25, n_view=1, dtype=torch.float32)
    images = DiffusersSampler(scheduler, 500, 1.0)(prior, conditions(32, 0.6, 0.0, torch.float32), fresh_rng())
    assert abs(images.mean().item() - 0.6) < 0.02 and abs(images.std().item() - 0.25) < 0.015


def test_schedulers_are_asked_at_whole_timesteps(gaussian_prior, conditions, fresh_rng, monkeypatch):
    prior, seen = gaussian_prior(0.25, n_view=1, dtype=torch.float32), []
    predict = prior.predict_noise
    monkeypatch.setattr(prior, "predict_noise", lambda noisy, t, one: seen.append(t) or predict(noisy, t, one))
    scheduler = partial(diffusers.EulerDiscreteScheduler, use_karras_sigmas=True)
    DiffusersSampler(scheduler, 7)(prior, conditions(1, 0.5, 0.0, torch.float32), fresh_rng())
    assert len(seen) == 7 and all(t.dtype == torch.int64 for t in seen)
    assert seen[0].max() == 999 and seen[-1].min() == 0


@pytest.mark.parametrize("kind", [diffusers.EulerAncestralDiscreteScheduler, diffusers.DPMSolverMultistepScheduler])
def test_noise_comes_from_the_shares_own_generators(gaussian_prior, conditions, kind):
    prior = gaussian_prior(0.25, n_view=1, dtype=torch.float32)
    algorithm = {"algorithm_type": "sde-dpmsolver++"} if kind is diffusers.DPMSolverMultistepScheduler else {}
    sampler = DiffusersSampler(partial(kind, **algorithm), 5)
    seeded = lambda seed: torch.Generator().manual_seed(seed)
    both = sampler(prior, conditions(4, 0.5, 0.0, torch.float32), [seeded(1), seeded(2)])
    alone = sampler(prior, conditions(2, 0.5, 0.0, torch.float32), seeded(2))
    torch.testing.assert_close(both[2:], alone)


def test_more_steps_than_timesteps_are_refused(gaussian_prior, conditions, fresh_rng):
    sampler = DiffusersSampler(diffusers.EulerDiscreteScheduler, 1001)
    with pytest.raises(UserError, match=r"sampler.steps=1001: the prior has 1000"):
        sampler(gaussian_prior(0.25, n_view=1), conditions(1, 0.5, 0.0), fresh_rng())


def test_it_is_named_after_its_scheduler():
    assert DiffusersSampler(LEADING).name == "DDIMScheduler"
