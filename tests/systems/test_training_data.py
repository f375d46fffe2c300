"""Trainings that draw from streams and pictures: whatever they draw from, a step depends on its number alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from data.errors import UserError
from data.samplers import FourViews
from data.toy_views import ToyViews
from guidance.sampling import DDIM
from systems.training.asset_grid import AssetGrid
from systems.training.mini_networks import new_autoencoder
from systems.training.train_prior import Mixture, TrainPrior
from systems.training_data.latent_stream import LatentStream
from systems.training_data.picture_latents import StreamedPictures
from tests.data.test_shards import seen, shard
from tests.save_at import SaveAt
from tests.systems.test_train_prior import fit, tiny_system


@pytest.fixture(scope="module")
def autoencoder():
    return new_autoencoder((8, 8, 8))


@pytest.fixture
def pictures(tmp_path: Path) -> StreamedPictures:
    for color in ("red", "green", "blue"):
        Image.new("RGB", (64, 64), color).save(tmp_path / f"{color}.png")
        (tmp_path / f"{color}.txt").write_text(f"a {color} dog")
    return StreamedPictures(str(tmp_path))


def make(autoencoder, pictures, tmp_path: Path, **options) -> TrainPrior:
    views = ToyViews(FourViews(size=64), n_kinds=12)
    return tiny_system(autoencoder, views, tmp_path, source=LatentStream, pictures=pictures, **options)


def test_a_training_from_streams_resumes_bit_equal(autoencoder, pictures, tmp_path: Path) -> None:
    build = lambda: make(autoencoder, pictures, tmp_path, mixture=Mixture(picture_share=0.5))
    whole, rest = build(), build()
    fit(whole, callbacks=[SaveAt(2, tmp_path / "half.ckpt")])
    fit(rest, ckpt_path=tmp_path / "half.ckpt")
    expected, found = whole.state_dict(), rest.state_dict()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_two_dimensional_steps_see_the_pictures(autoencoder, pictures, tmp_path: Path) -> None:
    system = make(autoencoder, pictures, tmp_path, mixture=Mixture(picture_share=1.0))
    fit(system, max_steps=1)
    assert len(system.draw(0).latents.unique(dim=0)) <= 3 and system.draw(0).camera is None


def test_what_side_a_picture_shows_cannot_be_said(autoencoder, pictures, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"system.mixture.said=0.5: nobody knows what side a picture shows"):
        make(autoencoder, pictures, tmp_path, mixture=Mixture(said=0.5))


def dogs(folder: Path, rng: torch.Generator, **colors: str) -> str:
    """Of each split one."""
    for split, color in colors.items():
        shard(folder, [replace(seen(color, rng, size=64, split=split), captions=[f"a {color} dog"])], split)
    return str(folder)


def test_grids_of_real_objects_are_drawn_while_it_trains(autoencoder, tmp_path: Path, rng, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)  # where a trainer writes that was told no folder
    sent: list[tuple[str, Path, int]] = []
    monkeypatch.setattr("systems.training.asset_grid.send_picture", lambda loggers, *what: sent.append(what))
    path = dogs(tmp_path, rng, train="red", heldout="blue")
    system = tiny_system(autoencoder, ToyViews(FourViews(size=64)), tmp_path, source=LatentStream)
    trainer = fit(system, max_steps=3, callbacks=[AssetGrid(path, every=2, sampler=DDIM(steps=2))])
    pictures = [tmp_path / "images" / f"{step:06d}.png" for step in (2, 3)]
    assert sent == [("samples", pictures[0], 1), ("samples", pictures[1], 2)] and all(p.exists() for p in pictures)
    assert {"heldout/mean_psnr", "train/mean_psnr"} <= set(trainer.callback_metrics)


def test_grids_need_nothing_that_is_held_out(autoencoder, tmp_path: Path, rng, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = dogs(tmp_path, rng, train="red")
    system = tiny_system(autoencoder, ToyViews(FourViews(size=64)), tmp_path, source=LatentStream)
    trainer = fit(system, max_steps=1, callbacks=[AssetGrid(path, every=1, sampler=DDIM(steps=2))])
    assert [name for name in trainer.callback_metrics if name.endswith("mean_psnr")] == ["train/mean_psnr"]


@pytest.mark.parametrize(("color", "message"), [(None, "holds no train"), ("lilac", "knows the words of no caption")])
def test_grids_that_cannot_be_drawn_are_told_before_the_first_step(
    color: str | None, message: str, autoencoder, tmp_path: Path, rng, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = dogs(tmp_path, rng, **({"train": color} if color else {}))
    system = tiny_system(autoencoder, ToyViews(FourViews(size=64)), tmp_path, source=LatentStream)
    with pytest.raises(UserError, match=message):
        fit(system, callbacks=[AssetGrid(path, every=4, sampler=DDIM(steps=2))])
    assert system.global_step == 0
