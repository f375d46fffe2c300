"""How close generated images are to real ones, as sets: FID, KID and the Inception Score, with intervals."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.inception import InceptionScore
from torchmetrics.image.kid import poly_kernel

from data.errors import UserError
from metrics.image_set import ImageSet
from metrics.jackknife import Estimate, jackknife

CHUNK = 64  # objects


@dataclass(frozen=True)
class DistributionScores:
    network: str
    n_objects: int
    n_reference: int
    fid: Estimate
    kid: Estimate
    inception_score: Estimate

    def named(self) -> dict[str, float]:
        """The network is part of each name: scores of different networks cannot be compared."""
        return {
            **self.fid.named(f"fid_{self.network}"),
            f"fid_infinite_{self.network}": self.fid.limit,
            **self.kid.named(f"kid_{self.network}"),
            **self.inception_score.named(f"inception_score_{self.network}"),
        }


def compare(generated: ImageSet, reference: ImageSet, same_captions: bool = False) -> DistributionScores:
    """The intervals say what other objects, as many, would give against the same reference.

    same_captions: object i of both is of one caption. Then the intervals of FID and KID say what other captions, with
    other objects in both sets, would give; `benchmarks.intervals` measures how wide they are against such redraws.
    """
    assert generated.network == reference.network, f"{generated.network} is compared with {reference.network}"
    return DistributionScores(
        generated.network,
        len(generated),
        len(reference),
        fid(generated, reference, same_captions),
        kid(generated, reference, same_captions),
        inception_score(generated),
    )


def fid(generated: ImageSet, reference: ImageSet, same_captions: bool = False) -> Estimate:
    """|mu_1 - mu_2|^2 + tr(S_1 + S_2 - 2 (S_1 S_2)^(1/2)) of the features' means and covariances (Heusel et al. 2017).

    It falls as there are more images: compare it only at equal numbers of objects and views, against one reference.
    `limit` is its straight line in 1 / n, drawn to infinitely many generated images (Chong and Forsyth 2020), with the
    same captions to as many real ones: trust it where there are several times as many images as features. An estimate
    with an error of its own, it can fall a little below 0. Views of one object are no independent images, and make FID
    higher than as many single images would; the interval leaves out objects, not views.
    """
    _refuse_few(generated, reference)
    images = lambda one, objects: one.features[objects].flatten(0, 1)
    if same_captions:
        both = lambda objects: Frechet(images(reference, objects))(images(generated, objects))
        return jackknife(both, _as_many(generated, reference))
    distance = Frechet(reference.features.flatten(0, 1))
    return jackknife(lambda objects: distance(images(generated, objects)), len(generated))


@contextmanager
def one_thread() -> Iterator[None]:
    """Several would sum in another order, which eigenvalues show in the tenth digit."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class Frechet:
    """The distance to one reference, whose moments are taken once."""

    @one_thread()
    def __init__(self, reference: Float[Tensor, "n f"]) -> None:
        self._metric = FrechetInceptionDistance(_Given(reference.shape[1]), reset_real_features=False)
        self._metric.update(reference.double(), real=True)

    @one_thread()
    def __call__(self, generated: Float[Tensor, "n f"]) -> float:
        self._metric.reset()
        self._metric.update(generated.double(), real=False)
        return self._metric.compute().item()


class _Given(nn.Identity):
    """For torchmetrics, which asks a network for features: they are there already."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features


def kid(generated: ImageSet, reference: ImageSet, same_captions: bool = False) -> Estimate:
    """E k(x, x') + E k(y, y') - 2 E k(x, y), with k = (x . y / f + 1)^3 and x, x' of different objects
    (Binkowski et al. 2018): 0 on average, at any number of objects, where both sets are drawn alike.

    All pairs take part, in place of a mean over random subsets. Pairs of views of one object do not: they are more
    alike than two draws, and would raise it. Nor do, with the same captions, x and y of one caption, which would lower
    it (Gretton et al. 2012, eq. 4, of the pairs x_i, y_i).
    """
    _refuse_few(generated, reference)
    own, cross = kernel(generated.features, generated.features), kernel(generated.features, reference.features)
    real = kernel(reference.features, reference.features)
    if same_captions:
        terms = ((own, 1), (real, 1), (cross, -2))
        return jackknife(lambda x: sum(sign * _apart(k[x][:, x]) for k, sign in terms), _as_many(generated, reference))
    spread = _apart(real)
    return jackknife(lambda x: _apart(own[x][:, x]) + spread - 2 * cross[x].mean().item(), len(generated))


def kernel(a: Float[Tensor, "o v f"], b: Float[Tensor, "p w f"]) -> Float[Tensor, "o p"]:
    """k of each pair of objects, mean over their views."""
    columns, (objects, views) = b.flatten(0, 1), b.shape[:2]
    rows = [poly_kernel(chunk.flatten(0, 1), columns) for chunk in a.split(CHUNK)]
    return torch.cat([row.unflatten(1, (objects, views)).unflatten(0, (-1, a.shape[1])).mean((1, 3)) for row in rows])


def _apart(k: Float[Tensor, "o o"]) -> float:
    """Mean over the pairs of different objects."""
    return ((k.sum() - k.trace()) / (len(k) * (len(k) - 1))).item()


def inception_score(generated: ImageSet) -> Estimate:
    """exp(mean KL(p(c | x), p(c))): 1 where all images have one class, or none; the number of classes at best
    (Salimans et al. 2016). It rises with the number of images.

    Of all images together: papers cut 50000 images into 10 parts, and give mean and spread of the parts. A part of
    fewer images than there are classes can hold few of them.
    """
    _refuse_few(generated)
    return jackknife(lambda objects: score_of(generated.logits[objects].flatten(0, 1)), len(generated))


def score_of(logits: Float[Tensor, "n c"]) -> float:
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")  # it keeps the logits; the spread of one part is no number
        torch.manual_seed(0)  # it shuffles them by the global generator
        metric = InceptionScore(nn.Identity(), splits=1)
        metric.update(logits.double())
        return metric.compute()[0].item()


def _as_many(generated: ImageSet, reference: ImageSet) -> int:
    assert len(generated) == len(reference), f"{len(generated)} objects and {len(reference)} have not the same captions"
    return len(generated)


def _refuse_few(*sets: ImageSet) -> None:
    few = min(len(one) for one in sets)
    if few < 3:
        raise UserError(f"FID, KID and the Inception Score compare sets of 3 objects or more, not {few}; add prompts")
