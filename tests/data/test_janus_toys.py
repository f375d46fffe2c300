import pytest
import torch

from data.samplers import turntable
from data.toybox.body import Style
from data.toybox.grammar import CREATURES, KINDS, Toy, Worn, build, has_front
from data.toybox.parts import ball, front
from data.toybox.raycast import render

FRONTED = [kind for kind in KINDS if has_front(kind)]
CAMERAS = turntable(4, 48)


def toy_of_kind(kind: str) -> Toy:
    worn = (Worn("backpack", "red"), Worn("hat", "green")) if kind in CREATURES else ()
    return Toy(kind, KINDS[kind][1], worn)


def test_creatures_vehicles_and_buildings_have_a_front_and_round_things_do_not():
    assert set(FRONTED) == CREATURES | {"car", "bus", "truck", "train", "airplane", "house", "castle"}


def test_a_turned_part_stands_on_the_side_that_it_is_turned_to():
    (eye,) = front(ball((0.3, 0.05, 0.2), 0.1, (1, 1, 1)), axis=0.1)
    assert eye.turned(0) is eye
    assert eye.turned(180).center == pytest.approx([-0.1, -0.05, 0.2])
    assert eye.turned(90).center == pytest.approx([0.05, 0.2, 0.2])
    (lamp,) = front(ball((0.5, 0.1, 0.0), 0.1, (1, 1, 1)), inward=0.3)
    assert lamp.turned(90).center == pytest.approx([-0.1, 0.2, 0.0])
    assert lamp.turned(270).center == pytest.approx([0.1, -0.2, 0.0])
    assert lamp.turned(180).center == pytest.approx([-0.5, -0.1, 0.0])


@pytest.mark.parametrize("kind", FRONTED)
@pytest.mark.parametrize("side", [90, 180, 270])
def test_a_janus_toy_shows_its_front_there_and_still_in_front(kind, side):
    toy = toy_of_kind(kind)
    true, other = (render(build(toy, fronts=fronts), CAMERAS)[..., :3] for fronts in ((0,), (0, side)))
    change = (true - other).abs().mean(dim=(1, 2, 3))
    assert change[side // 90] > max(0.003, 1.5 * change[0])


@pytest.mark.parametrize("kind", FRONTED)
def test_toys_with_a_front_on_every_side_fit_the_picture(kind):
    for style in (None, Style(1.06, 1.06, 1.06, (1.03, 1.03, 1.03))):
        alpha = render(build(toy_of_kind(kind), style, (0, 90, 180, 270)), CAMERAS)[..., 3]
        assert torch.cat([alpha[:, 0], alpha[:, -1], alpha[:, :, 0], alpha[:, :, -1]]).max() == 0


@pytest.mark.parametrize("kind", sorted(set(KINDS) - set(FRONTED)))
def test_toys_without_a_front_can_not_have_two(kind):
    once, twice = (build(toy_of_kind(kind), fronts=fronts) for fronts in ((0,), (0, 180)))
    assert len(once) == len(twice)
