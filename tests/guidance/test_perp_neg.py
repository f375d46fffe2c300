import pytest
import torch

from data.cameras import look_at_origin
from guidance.cfg import predict
from guidance.perp_neg import perpendicular
from guidance.prior import Avoided, Condition, Conditions
from guidance.prompts import PromptEmbeddings
from guidance.view_words import PerpNeg


class LinearPrior:
    """Predicts noise that is linear in the text: eps = text @ W, whatever it is shown."""

    def __init__(self) -> None:
        self.alphas_cumprod, self.n_view, self.image_size = torch.linspace(0.99, 0.01, 10), 1, 2
        self.weights = torch.randn(5, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
        self.batches: list[int] = []

    def encode(self, images, rng=None): ...

    def decode(self, latents): ...

    def predict_noise(self, noisy, t, condition):
        self.batches.append(len(noisy))
        return (condition.text.sum(dim=1) @ self.weights).reshape(-1, 3, 2, 2)


def randn(*shape):
    return torch.randn(*shape, dtype=torch.float64)


@pytest.fixture
def linear_prior():
    return LinearPrior()


def by_hand(prior, conditions, scale):
    """eps_u + s [e_pos + sum_i w_i perp(eps_i - eps_u, e_pos)], image by image, in flat vectors."""
    noise_of = lambda condition: (condition.text.sum(dim=1) @ prior.weights).unbind()
    images = []
    for i, (cond, uncond) in enumerate(zip(noise_of(conditions.cond), noise_of(conditions.uncond), strict=True)):
        positive = cond - uncond
        total = positive.clone()
        for one in conditions.avoided:
            away = noise_of(one.condition)[i] - uncond
            total += one.weight[i] * (away - away.dot(positive) / positive.dot(positive) * positive)
        images.append(uncond + scale * total)
    return torch.stack(images).reshape(-1, 3, 2, 2)


def test_the_perpendicular_part_is_at_right_angles_and_the_rest_is_parallel():
    x, y = randn(6, 3, 4, 4), randn(6, 3, 4, 4)
    part = perpendicular(x, y)
    dot = lambda a, b: (a * b).sum(dim=(1, 2, 3))
    torch.testing.assert_close(dot(part, y), torch.zeros(6, dtype=torch.float64))
    rest = x - part
    torch.testing.assert_close(dot(rest, y).square(), dot(rest, rest) * dot(y, y))


def test_the_perpendicular_part_of_a_multiple_is_nothing_and_of_a_stranger_all():
    x = randn(1, 1, 2, 2)
    torch.testing.assert_close(perpendicular(-3 * x, x), torch.zeros_like(x))
    left, right = torch.eye(4, dtype=torch.float64)[:2].reshape(2, 1, 1, 2, 2)
    torch.testing.assert_close(perpendicular(left, right), left)


def test_at_right_angles_to_nothing_is_everything():
    x = randn(2, 1, 2, 2)
    torch.testing.assert_close(perpendicular(x, torch.zeros_like(x)), x)


@pytest.mark.parametrize("scale", [0.0, 1.0, 7.5, 100.0])
@pytest.mark.parametrize("n_avoided", [0, 1, 2, 3])
def test_guidance_is_the_published_formula(linear_prior, scale, n_avoided):
    text = lambda: Condition(randn(4, 2, 5), None)
    avoided = tuple(Avoided(text(), -torch.rand(4, dtype=torch.float64)) for _ in range(n_avoided))
    conditions = Conditions(text(), text(), avoided)
    found = predict(linear_prior, randn(4, 3, 2, 2), torch.zeros(4, dtype=torch.long), conditions)
    torch.testing.assert_close(found.guided(scale), by_hand(linear_prior, conditions, scale))
    assert linear_prior.batches == [4 * (2 + n_avoided)]


def test_the_detour_leaves_the_way_to_the_prompt_alone(linear_prior):
    text = lambda: Condition(randn(4, 2, 5), None)
    avoided = tuple(Avoided(text(), -torch.rand(4, dtype=torch.float64)) for _ in range(2))
    found = predict(
        linear_prior, randn(4, 3, 2, 2), torch.zeros(4, dtype=torch.long), Conditions(text(), text(), avoided)
    )
    along = (found.detour * (found.cond - found.uncond)).sum(dim=(1, 2, 3))
    torch.testing.assert_close(along, torch.zeros(4, dtype=torch.float64))
    assert found.detour.abs().min() > 0


def test_a_direction_of_no_weight_changes_nothing(linear_prior):
    text = lambda: Condition(randn(4, 2, 5), None)
    plain = Conditions(text(), text())
    avoided = Conditions(plain.cond, plain.uncond, (Avoided(text(), torch.zeros(4, dtype=torch.float64)),))
    t = torch.zeros(4, dtype=torch.long)
    one, other = (predict(linear_prior, randn(4, 3, 2, 2), t, asked).guided(7.0) for asked in (plain, avoided))
    torch.testing.assert_close(one, other)


def test_from_cameras_to_noise_each_view_is_guided_by_its_own_azimuth(linear_prior):
    azimuth = torch.deg2rad(torch.tensor([0.0, 50.0, 130.0, -160.0], dtype=torch.float64))
    full = torch.full_like(azimuth, 0.3)
    embeddings = PromptEmbeddings(randn(3, 2, 5), randn(1, 2, 5), PerpNeg(overhead=None), multi_view=False)
    conditions = embeddings.at(look_at_origin(azimuth, full, 5 * full, 2 * full, 8, 8))
    found = predict(linear_prior, randn(4, 3, 2, 2), torch.zeros(4, dtype=torch.long), conditions)
    torch.testing.assert_close(found.guided(25.0), by_hand(linear_prior, conditions, 25.0))
    assert linear_prior.batches == [16]
