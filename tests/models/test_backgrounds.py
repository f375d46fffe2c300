import math

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from models.backgrounds import LearnedBackground, RandomBackground, SolidBackground, spherical_harmonics


def directions(rng: torch.Generator, b: int = 8) -> Float[Tensor, "b 2 2 3"]:
    return torch.nn.functional.normalize(torch.randn(b, 2, 2, 3, generator=rng), dim=-1)


def test_solid_is_one_colour_in_training_too(rng: torch.Generator) -> None:
    images = SolidBackground((0.1, 0.2, 0.3))(directions(rng), rng)
    torch.testing.assert_close(images, torch.tensor([0.1, 0.2, 0.3]).expand(8, 2, 2, 3))


def test_random_colours_are_shared_by_a_group_and_differ_between_groups(rng: torch.Generator) -> None:
    groups = RandomBackground(group_size=4)(directions(rng), rng).unflatten(0, (2, 4))
    assert (groups == groups[:, :1, :1, :1]).all()
    assert not torch.equal(groups[0], groups[1])


def test_random_is_solid_in_evaluation(rng: torch.Generator) -> None:
    assert (RandomBackground((0.5, 0.5, 0.5))(directions(rng), None) == 0.5).all()


def test_probability_is_the_share_of_random_groups(rng: torch.Generator) -> None:
    images = RandomBackground(probability=0.3, group_size=1)(directions(rng, 2000), rng)
    assert (images != 0.5).any(dim=-1)[:, 0, 0].float().mean() == pytest.approx(0.3, abs=0.04)


def test_learned_background_learns_from_directions(rng: torch.Generator) -> None:
    background = LearnedBackground(random_probability=0.0)
    images = background(directions(rng), rng)
    images.sum().backward()
    assert images.std() > 0 and (images > 0).all() and (images < 1).all()
    assert all(parameter.grad.abs().sum() > 0 for parameter in background.parameters())


def test_spherical_harmonics_are_orthonormal(rng: torch.Generator) -> None:
    sphere = torch.nn.functional.normalize(torch.randn(200_000, 3, generator=rng), dim=-1)
    basis = spherical_harmonics(sphere)
    gram = 4 * math.pi * basis.T @ basis / len(sphere)
    torch.testing.assert_close(gram, torch.eye(9), atol=0.02, rtol=0)


@pytest.mark.parametrize("b", [8, 4])
def test_a_group_of_the_largest_batch_is_one_colour_for_all(b: int, rng: torch.Generator) -> None:
    images = LearnedBackground(random_probability=1.0, group_size=8)(directions(rng, b), rng)
    assert (images == images[0, 0, 0]).all()
