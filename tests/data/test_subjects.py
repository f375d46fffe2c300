import pytest
import torch
from PIL import Image

from data.samplers import turntable
from data.subject_pictures import read_subject
from data.toybox.grammar import KINDS, Toy, Worn, build
from data.toybox.parts import YELLOW
from data.toybox.raycast import render
from data.toybox.subjects import AZIMUTHS, SUBJECTS, cameras, write_pictures

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


def test_pictures_are_cut_out_files_that_show_the_subject(tmp_path):
    subject = SUBJECTS["duck"]
    write_pictures(tmp_path, subject, size=32)
    assert {Image.open(file).mode for file in tmp_path.iterdir()} == {"RGBA"}
    seen = read_subject(str(tmp_path), 32)
    truth = render(subject.build(), cameras(32), supersampling=3)
    assert seen.are_cut_out and len(seen.colors) == len(AZIMUTHS)
    assert (seen.before_grey - truth[..., :3]).abs().max() < 0.01


def test_pictures_without_transparency_are_whole(tmp_path):
    for i in range(3):
        Image.new("RGB", (20, 16), (i, 100, 200)).save(tmp_path / f"{i}.png")
    seen = read_subject(str(tmp_path), 8)
    assert not seen.are_cut_out and torch.equal(seen.before_grey, seen.colors)


def test_a_second_front_takes_the_place_of_the_wings():
    wings = lambda fronts: [part for part in SUBJECTS["robot"].build(fronts=fronts) if part.color == YELLOW]
    assert len(wings((0,))) == 2 and not wings((0, 180))
