from dataclasses import replace

import torch

from guidance.cfg import guide, predict
from guidance.prior import Avoided, Condition, Conditions, join_all

C, U = torch.randn(2, 4, 3, 2, 2, generator=torch.Generator().manual_seed(0))


def test_scale_one_is_conditional():
    torch.testing.assert_close(guide(C, U, 1.0), C)


def test_scale_zero_is_unconditional():
    torch.testing.assert_close(guide(C, U, 0.0), U)


def test_scale_extrapolates_along_the_difference():
    torch.testing.assert_close(guide(C, U, 3.0) - C, 2 * (C - U))


def test_both_predictions_come_from_one_pass_and_equal_two_passes(gaussian_prior, conditions):
    prior = gaussian_prior(std=0.5, n_view=4)
    noisy, t = torch.randn(8, 3, 4, 4, dtype=torch.float64), torch.full((8,), 300)
    asked = conditions(8, 1.0, -1.0)
    found = predict(prior, noisy, t, asked)
    assert prior.batches == [16]
    torch.testing.assert_close(found.cond, prior.predict_noise(noisy, t, asked.cond))
    torch.testing.assert_close(found.uncond, prior.predict_noise(noisy, t, asked.uncond))


def test_both_conditions_keep_their_cameras():
    seen = []

    class Recorder:
        alphas_cumprod, n_view, image_size = torch.ones(2), 1, 2

        def encode(self, images, rng=None): ...

        def decode(self, latents): ...

        def predict_noise(self, noisy, t, condition):
            seen.append(condition.camera)
            return noisy

    camera, text = torch.randn(4, 16), torch.zeros(4, 1, 1)
    condition = Condition(text, camera)
    predict(Recorder(), C, torch.zeros(4, dtype=torch.long), Conditions(condition, condition))
    torch.testing.assert_close(seen[0], torch.cat([camera, camera]))


def test_groups_asked_about_together_are_answered_as_each_alone(gaussian_prior, conditions):
    prior = gaussian_prior(std=0.5, n_view=4)
    noisy, t = torch.randn(8, 3, 4, 4, dtype=torch.float64), torch.full((8,), 300)
    away = lambda mean, weight: Avoided(conditions(4, mean, 0.0).cond, torch.full((4,), weight, dtype=torch.float64))
    groups = [
        replace(conditions(4, 1.0, -1.0), avoided=(away(0.3, -1.0), away(-0.2, -0.5)), camera=torch.zeros(4, 16)),
        replace(conditions(4, 0.5, 0.1), avoided=(away(0.9, -2.0), away(0.7, 0.0)), camera=torch.ones(4, 16)),
    ]
    together = predict(prior, noisy, t, join_all(groups)).guided(3.0)
    alone = [predict(prior, x, t[:4], one).guided(3.0) for x, one in zip(noisy.split(4), groups, strict=True)]
    torch.testing.assert_close(together, torch.cat(alone))
    torch.testing.assert_close(
        join_all(groups).camera, torch.tensor([0.0, 1.0]).repeat_interleave(4)[:, None].expand(8, 16)
    )
