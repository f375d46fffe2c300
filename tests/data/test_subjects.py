import numpy as np
import pytest
import torch
from PIL import Image

from data.samplers import turntable
from data.toybox.grammar import KINDS, Toy, Worn, build
from data.toybox.parts import YELLOW
from data.toybox.raycast import render
from data.toybox.subjects import AZIMUTHS, SUBJECTS, pictures, write_pictures

VIEWS = turntable(4, 48)


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_subject_is_no_toy_of_the_grammar_but_one_of_its_kind(name):
    subject = SUBJECTS[name]
    own, toy = (render(parts, VIEWS) for parts in (subject.build(), build(Toy(subject.kind, subject.color))))
    differs = ((own - toy)[..., :3].abs().amax(dim=-1) > 0.1).float().mean(dim=(1, 2))
    assert subject.kind in KINDS and (differs > 0.01).all() and differs.mean() < 0.25


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_subject_with_a_hat_stays_within_the_scene(name):
    parts = SUBJECTS[name].build((Worn("hat", "red"),))
    silhouette = render(parts, turntable(8, 64))[..., 3] > 0
    edge = torch.cat([silhouette[:, 0], silhouette[:, -1], silhouette[:, :, 0], silhouette[:, :, -1]], dim=1)
    assert silhouette.any(dim=(1, 2)).all() and not edge.any()


def test_no_picture_shows_the_back():
    assert max(map(abs, AZIMUTHS)) <= 60


def test_pictures_are_files_of_one_subject_before_different_colours(tmp_path):
    write_pictures(tmp_path, SUBJECTS["duck"], size=32)
    seen = [np.asarray(Image.open(file)) for file in sorted(tmp_path.iterdir())]
    assert len(seen) == len(AZIMUTHS) and {image.shape for image in seen} == {(32, 32, 3)}
    assert len({tuple(image[0, 0]) for image in seen}) == len(AZIMUTHS)


def test_a_second_front_takes_the_place_of_the_wings():
    wings = lambda fronts: [part for part in SUBJECTS["robot"].build(fronts=fronts) if part.color == YELLOW]
    assert len(wings((0,))) == 2 and not wings((0, 180))


def test_the_colours_of_the_backgrounds_come_from_the_generator_alone():
    draw = lambda seed: pictures(SUBJECTS["dog"], 16, torch.Generator().manual_seed(seed))
    assert torch.equal(draw(1), draw(1)) and not torch.equal(draw(1), draw(2))
