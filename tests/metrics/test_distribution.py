import math
from collections.abc import Callable

import pytest
import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.inception import InceptionScore
from torchmetrics.image.kid import KernelInceptionDistance

from data.errors import UserError
from metrics.distribution import Frechet, compare, fid, inception_score, kid
from metrics.features import Features
from metrics.image_set import ImageSet, see
from metrics.jackknife import Estimate


def draw(mean: list[float], covariance: list[list[float]], n: int, rng: torch.Generator) -> Float[Tensor, "n f"]:
    """Normal draws whose sample mean and covariance are exactly these."""
    raw = torch.randn(n, len(mean), generator=rng, dtype=torch.float64)
    centred = raw - raw.mean(dim=0)
    white = torch.linalg.solve_triangular(torch.linalg.cholesky(centred.T.cov()), centred.T, upper=False).T
    return white @ torch.linalg.cholesky(torch.tensor(covariance).double()).T + torch.tensor(mean).double()


def shown(features: Float[Tensor, "o *v f"]) -> ImageSet:
    views = features.double().reshape(len(features), -1, features.shape[-1])
    return ImageSet("tiny", views, views)


def test_fid_of_gaussians_along_the_axes(rng: torch.Generator) -> None:
    """|mu_1 - mu_2|^2 + sum (s_1 - s_2)^2."""
    a = draw([0.0, 0.0, 0.0], [[1.0, 0, 0], [0, 4.0, 0], [0, 0, 9.0]], 40, rng)
    b = draw([1.0, 2.0, 3.0], [[4.0, 0, 0], [0, 4.0, 0], [0, 0, 0.25]], 50, rng)
    assert fid(shown(a), shown(b)).value == pytest.approx(14 + 1 + 0 + 6.25)


def test_fid_of_gaussians_that_are_turned_against_each_other(rng: torch.Generator) -> None:
    """tr (S_1 S_2)^(1/2) = sqrt(tr S_1 S_2 + 2 sqrt(det S_1 S_2)) in two dimensions."""
    first, second = [[2.0, 0.5], [0.5, 1.0]], [[1.0, -0.7], [-0.7, 3.0]]
    product = torch.tensor(first) @ torch.tensor(second)
    root = math.sqrt(product.trace() + 2 * math.sqrt(torch.linalg.det(product)))
    a, b = draw([0.0, 0.0], first, 30, rng), draw([0.0, 0.0], second, 30, rng)
    assert fid(shown(a), shown(b)).value == pytest.approx(3 + 4 - 2 * root, rel=1e-5)


def test_a_set_has_no_distance_to_itself(rng: torch.Generator) -> None:
    same = shown(torch.randn(30, 4, 6, generator=rng))
    assert fid(same, same).value == pytest.approx(0, abs=1e-6)


def test_a_shift_adds_its_square(rng: torch.Generator) -> None:
    a = torch.randn(30, 5, generator=rng)
    assert fid(shown(a + 2), shown(a)).value == pytest.approx(5 * 4, rel=1e-6)


def test_fid_is_bit_equal_whatever_the_number_of_threads(rng: torch.Generator) -> None:
    a, b = torch.randn(2, 300, 200, generator=rng)
    threads, found = torch.get_num_threads(), []
    for n in (1, 2, 3):
        torch.set_num_threads(n)
        found.append(Frechet(a)(b))
        assert torch.get_num_threads() == n
    torch.set_num_threads(threads)
    assert len(set(found)) == 1


def test_fid_at_infinity_is_nearer_to_the_truth(rng: torch.Generator) -> None:
    """Equal distributions: 0."""
    reference = shown(torch.randn(5000, 8, generator=rng))
    found = [fid(shown(torch.randn(100, 8, generator=rng)), reference) for _ in range(10)]
    assert abs(sum(one.limit for one in found)) < 0.2 * sum(one.value for one in found)


def test_the_jackknife_holds_fid_where_the_bootstraps_percentiles_lie_above_it(rng: torch.Generator) -> None:
    reference, generated = torch.randn(2000, 16, generator=rng), torch.randn(100, 16, generator=rng)
    found = fid(shown(generated), shown(reference))
    assert found.value in found.interval
    resampled = torch.tensor(
        [Frechet(reference)(generated[torch.randint(100, (100,), generator=rng)]) for _ in range(99)]
    )
    assert resampled.quantile(0.025) > found.value


def test_the_views_of_an_object_stay_together(rng: torch.Generator) -> None:
    """Four copies of each view tell no more than one."""
    views, reference = torch.randn(200, 1, 4, generator=rng), shown(torch.randn(500, 1, 4, generator=rng))
    once, copied = fid(shown(views), reference).interval, fid(shown(views.repeat(1, 4, 1)), reference).interval
    assert copied.high - copied.low == pytest.approx(once.high - once.low, rel=0.02)


def test_kid_by_hand() -> None:
    """k(0, 0) = k(0, 1) = 1 and k(1, 1) = 8 of one feature: 1 + 8 - 2."""
    assert kid(shown(torch.zeros(3, 1)), shown(torch.ones(4, 1))).value == 7


def test_kid_of_single_images_is_torchmetrics(rng: torch.Generator) -> None:
    a, b = torch.randn(20, 6, generator=rng).double(), torch.randn(20, 6, generator=rng).double() + 0.5
    metric = KernelInceptionDistance(torch.nn.Identity(), subsets=1, subset_size=20)
    metric.update(a, real=True)
    metric.update(b, real=False)
    assert kid(shown(b), shown(a)).value == pytest.approx(metric.compute()[0].item())


def test_kid_of_equal_distributions_is_0_on_average_however_alike_the_views_of_an_object(rng: torch.Generator) -> None:
    def objects(n: int) -> ImageSet:
        return shown(torch.randn(n, 1, 4, generator=rng) + 0.1 * torch.randn(n, 3, 4, generator=rng))

    found = torch.tensor([kid(objects(10), objects(15)).value for _ in range(300)])
    assert abs(found.mean()) < 3 * found.std() / math.sqrt(300)


def test_kid_is_0_on_average_also_where_both_sets_show_the_same_captions_at_any_number_of_them(
    rng: torch.Generator,
) -> None:
    """Captions differ by 1, the draws of one by 0.1; all pairs would lower it by about 2 / n of the kernel's spread."""

    def drawn(n: int) -> tuple[ImageSet, ImageSet]:
        meant = torch.randn(n, 1, 4, generator=rng)
        generated, reference = (shown(meant + 0.1 * torch.randn(n, 3, 4, generator=rng)) for _ in range(2))
        return generated, reference

    for n in (6, 24):
        pairs = [drawn(n) for _ in range(30)]
        apart, all_pairs = (torch.tensor([kid(*pair, same).value for pair in pairs]) for same in (True, False))
        assert abs(apart.mean()) < 3 * apart.std() / math.sqrt(30)
        assert all_pairs.max() < -1 / n


@pytest.mark.parametrize("distance", [fid, kid])
def test_a_set_has_no_distance_to_itself_and_without_a_caption_in_both_still_none(
    distance: Callable[..., Estimate], rng: torch.Generator
) -> None:
    """KID: k(x_i, x_j) + k(y_i, y_j) - k(x_i, y_j) - k(x_j, y_i) = 0 for every pair of captions."""
    same = shown(torch.randn(30, 2, 6, generator=rng))
    found = distance(same, same, same_captions=True)
    assert (found.value, found.interval.low, found.interval.high, found.limit) == pytest.approx((0,) * 4, abs=1e-5)


@pytest.mark.parametrize("distance", [fid, kid])
def test_what_captions_differ_by_does_not_widen_an_interval_where_both_sets_show_them(
    distance: Callable[..., Estimate], rng: torch.Generator
) -> None:
    """It is sqrt(2) too wide for equal sets, give or take; leaving captions out of one set made it 10 times so."""

    def drawn() -> Estimate:
        meant = torch.randn(57, 1, 4, generator=rng)
        generated, reference = (shown(meant + 0.1 * torch.randn(57, 1, 4, generator=rng)) for _ in range(2))
        return distance(generated, reference, same_captions=True)

    found = [drawn() for _ in range(12)]
    width = math.sqrt(sum((one.interval.high - one.interval.low) ** 2 for one in found) / 12)
    needed = 2 * 2.1 * torch.tensor([one.value for one in found]).std().item()
    assert 0.8 * needed < width < 2.5 * needed


def test_images_of_one_class_each_score_the_number_of_classes() -> None:
    logits = 50 * torch.eye(7).repeat(3, 1)
    assert inception_score(shown(logits)).value == pytest.approx(7)


@pytest.mark.parametrize("logits", [torch.zeros(9, 5), 50 * torch.eye(5)[:1].repeat(9, 1)])
def test_images_of_no_class_or_of_the_same_score_1(logits: torch.Tensor) -> None:
    assert inception_score(shown(logits)).value == pytest.approx(1)


def test_the_inception_score_is_torchmetrics_and_leaves_the_global_generator_alone(rng: torch.Generator) -> None:
    logits = torch.randn(40, 10, generator=rng).double()
    metric = InceptionScore(torch.nn.Identity(), splits=1)
    metric.update(logits)
    before = torch.get_rng_state()
    found = inception_score(shown(logits)).value
    assert torch.equal(torch.get_rng_state(), before)
    assert found == pytest.approx(metric.compute()[0].item())


class MeanColour(torch.nn.Module):
    name, n_features, n_classes, num_features = "mean_colour", 3, 2, 3

    def forward(self, images: Float[Tensor, "b h w 3"]) -> Features:
        pooled = images.mean(dim=(1, 2))
        return Features(pooled, pooled[:, :2])


class Pooled(MeanColour):
    def forward(self, images: Float[Tensor, "b h w 3"]) -> Float[Tensor, "b 3"]:
        return super().forward(images).pooled


def test_seeing_first_and_comparing_then_is_torchmetrics_on_the_images(rng: torch.Generator) -> None:
    a, b = torch.rand(6, 4, 8, 8, 3, generator=rng), torch.rand(5, 4, 8, 8, 3, generator=rng)
    metric = FrechetInceptionDistance(Pooled(), normalize=True)
    metric.update(a.flatten(0, 1), real=True)
    metric.update(b.flatten(0, 1), real=False)
    scores = compare(see(MeanColour(), b.split(2)), see(MeanColour(), a.split(4)))
    assert scores.fid.value == pytest.approx(metric.compute().item(), rel=1e-4)
    assert (scores.n_objects, scores.n_reference) == (5, 6)


def test_each_score_is_named_after_the_network(rng: torch.Generator) -> None:
    one = shown(torch.randn(4, 1, 2, generator=rng))
    names = {name.removesuffix("_low").removesuffix("_high") for name in compare(one, one).named()}
    assert names == {"fid_tiny", "fid_infinite_tiny", "kid_tiny", "inception_score_tiny"}


def test_two_objects_are_no_set() -> None:
    with pytest.raises(UserError, match="3 objects or more, not 2"):
        inception_score(shown(torch.zeros(2, 4)))
