from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import pytest
import torch

from data.errors import UserError
from models.scene import Scene
from renderers.output import RaySamples, RenderOutput
from systems.losses import Eikonal, Loss, Opacity, Orientation, Sparsity, ZVariance
from systems.text_to_3d import TextTo3D


@pytest.fixture
def scene(make_system: Callable[..., TextTo3D]) -> Scene:
    return make_system().scene


def output(weights: list[float], t: list[float], normal_z: float = 1.0) -> RenderOutput:
    """One pixel whose ray runs along +z through samples of no thickness at depths `t`."""
    weight, t_middle = torch.tensor(weights), torch.tensor(t)
    along = torch.tensor([[0.0, 0.0, 1.0]]).expand(len(t), 3)
    ray = torch.zeros(len(t), dtype=torch.long)
    samples = RaySamples(ray, t_middle, t_middle, weight, along, normal_z * along, n_rays=1)
    depth = (weight * t_middle).sum().view(1, 1, 1, 1)
    return RenderOutput(torch.zeros(1, 1, 1, 3), weight.sum().view(1, 1, 1, 1), depth, None, samples)


def of(loss: Loss, scene: Scene, seen: RenderOutput) -> float:
    return float(loss(scene, seen))


def test_sparsity_of_nothing_is_its_floor(scene: Scene) -> None:
    assert of(Sparsity(1.0), scene, output([0.0], [1.0])) == pytest.approx(0.1)


def test_opacity_is_the_entropy_of_a_coin(scene: Scene) -> None:
    assert of(Opacity(1.0), scene, output([0.5], [1.0])) == pytest.approx(math.log(2))
    assert of(Opacity(1.0), scene, output([1.0], [1.0])) == pytest.approx(0.0, abs=0.01)


def test_orientation_punishes_only_surfaces_that_face_away(scene: Scene) -> None:
    assert of(Orientation(1.0), scene, output([0.3, 0.5], [1.0, 2.0], normal_z=-1.0)) == 0.0
    assert of(Orientation(1.0), scene, output([0.3, 0.5], [1.0, 2.0], normal_z=0.5)) == pytest.approx(0.8 * 0.25)


def test_orientation_moves_normals_not_weights(scene: Scene) -> None:
    seen = output([0.3, 0.5], [1.0, 2.0])
    assert seen.samples is not None
    seen.samples.weight.requires_grad_()
    assert not Orientation(1.0)(scene, seen).requires_grad


def test_orientation_without_normals_says_how_to_get_them(scene: Scene) -> None:
    seen = output([0.5], [1.0])
    assert seen.samples is not None
    without = dataclasses.replace(seen, samples=dataclasses.replace(seen.samples, normal=None))
    with pytest.raises(UserError, match=r"renderer\.normals=true"):
        Orientation(1.0)(scene, without)


def test_z_variance_is_the_spread_of_a_ray(scene: Scene) -> None:
    assert of(ZVariance(1.0), scene, output([1.0], [2.0])) == 0.0
    assert of(ZVariance(1.0), scene, output([0.5, 0.5], [1.0, 3.0])) == pytest.approx(1.0)


def test_z_variance_ignores_rays_that_see_little(scene: Scene) -> None:
    assert of(ZVariance(1.0), scene, output([0.2, 0.2], [1.0, 3.0])) == 0.0


def test_eikonal_is_0_for_a_distance_and_needs_one(scene: Scene) -> None:
    seen = output([0.5, 0.5], [1.0, 2.0])
    assert seen.samples is not None
    slopes = torch.tensor([[0.0, 0.6, 0.8], [0.0, 0.0, 3.0]])
    sampled = dataclasses.replace(seen, samples=dataclasses.replace(seen.samples, gradient=slopes))
    assert of(Eikonal(1.0), scene, sampled) == pytest.approx((3 - 1) ** 2 / 2)
    with pytest.raises(UserError, match=r"renderer=sdf.*renderer\.normals=true"):
        Eikonal(1.0)(scene, seen)


@pytest.mark.parametrize("loss", [ZVariance, Orientation])
def test_a_surface_has_no_samples_along_rays(loss: type[Loss], scene: Scene) -> None:
    seen = dataclasses.replace(output([0.5], [1.0]), samples=None)
    with pytest.raises(UserError, match=r"weight=2\.0 needs samples along rays: say renderer=hashgrid"):
        loss(2.0)(scene, seen)
