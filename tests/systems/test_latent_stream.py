from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
import torch

from data.cameras import condition
from data.errors import UserError
from data.samplers import FourViews
from data.shard_views import ShardViews
from data.toy_views import ToyViews
from data.views import Views
from guidance.autoencoder import Autoencoder
from systems.rng import step_generator
from systems.training.mini_networks import new_autoencoder, new_tokenizer
from systems.training_data.latent_cache import LatentBatch, Latents, encoded
from systems.training_data.latent_stream import LatentStream
from tests.data.test_shards import seen, shard


@pytest.fixture(scope="module")
def autoencoder() -> Autoencoder:
    return Autoencoder(new_autoencoder((8, 8, 8)))


@pytest.fixture
def views() -> Views:
    return ToyViews(FourViews(size=16))


def stream(views: Views, autoencoder: Autoencoder, n_objects: int = 6, workers: int = 0) -> LatentStream:
    return LatentStream(Path("of no concern"), views, autoencoder, new_tokenizer(), n_objects, 5, workers)


def assert_same(a: LatentBatch, b: LatentBatch) -> None:
    for name in ("latents", "camera", "azimuth", "ids"):
        assert torch.equal(getattr(a, name), getattr(b, name)), name


def number(i: int) -> torch.Generator:
    return torch.Generator().manual_seed(i)


def test_objects_are_those_of_their_numbers(views: Views, autoencoder: Autoencoder) -> None:
    found = stream(views, autoencoder, n_objects=1).draw_objects(2, number(0))
    truth = views.draw(1, step_generator(5, 0))
    assert torch.equal(found.latents, encoded(autoencoder, truth.images).repeat(2, 1, 1, 1))
    assert torch.equal(found.camera, condition(truth.cameras).repeat(2, 1))
    assert torch.equal(found.ids[0], found.ids[3]) and found.ids.shape == (8, 24)


def test_a_draw_depends_on_its_generator_alone(views: Views, autoencoder: Autoencoder) -> None:
    source, frontal = stream(views, autoencoder), torch.tensor([True, False, False])
    first = source.draw_objects(3, number(1)), source.draw_pictures(frontal, number(2))
    source.draw_objects(1, number(3))
    again = source.draw_objects(3, number(1)), source.draw_pictures(frontal, number(2))
    for a, b in zip(first, again, strict=True):
        assert_same(a, b)
    assert not torch.equal(source.draw_objects(3, number(4)).latents, first[0].latents)


def test_captions_change_from_visit_to_visit(views: Views, autoencoder: Autoencoder) -> None:
    ids = stream(views, autoencoder, n_objects=1).draw_objects(20, number(0)).ids
    assert len(ids.unique(dim=0)) > 3


def test_pictures_of_the_front_are_those(views: Views, autoencoder: Autoencoder) -> None:
    source = stream(views, autoencoder)
    seen = source.draw_pictures(torch.ones(30, dtype=torch.bool), number(0))
    assert (torch.cos(seen.azimuth) > 2**-0.5 - 1e-5).all()
    anywhere = source.draw_pictures(torch.zeros(30, dtype=torch.bool), number(0))
    assert (torch.cos(anywhere.azimuth) < 0).any() and seen.latents.shape == (30, 4, 4, 4)


def test_the_first_so_many_can_be_asked_for(views: Views, autoencoder: Autoencoder) -> None:
    source = stream(views, autoencoder)
    few = source.draw_objects(8, number(0), among=1)
    assert len(few.latents.unique(dim=0)) == 4


def test_the_full_size_command_leaves_no_object_and_no_side_out(
    autoencoder: Autoencoder, tmp_path: Path, rng: torch.Generator
) -> None:
    docs = Path(__file__).resolve().parents[2] / "docs" / "data.md"
    (n_objects,) = map(int, re.findall(r"system/source=streamed system.n_objects=(\d+)", docs.read_text()))
    groups = 350_000 * 32 // 4
    assert math.exp(-n_objects / groups) < 1e-9  # the share that so many draws with replacement leave out
    path = shard(tmp_path, [seen("fox", rng, n_view=12, size=16)])
    drawn = stream(ShardViews(path, size=16), autoencoder, n_objects).draw_objects(30, number(0))
    assert len(drawn.azimuth[::4].mul(1000).round().unique()) == 3


def test_other_processes_draw_the_same(autoencoder: Autoencoder, tmp_path: Path, rng: torch.Generator) -> None:
    """Slow, because a process has to start."""
    path = shard(tmp_path, [seen(key, rng, size=16) for key in ("fox", "boat", "tree")])
    here, there = (stream(ShardViews(path, size=16), autoencoder, 6, workers) for workers in (0, 1))
    for seed in range(2):
        assert_same(here.draw_objects(3, number(seed)), there.draw_objects(3, number(seed)))
    tar = tmp_path / "train-00000.tar"
    tar.write_bytes(tar.read_bytes().replace(b"IDAT", b"XXXX"))
    told = []
    for source in (here, there):
        with pytest.raises(UserError) as wrong:
            source.draw_objects(1, number(0))
        told.append(str(wrong.value).partition(" is damaged")[0])
    assert told[0] == told[1] and told[0].startswith("shards=")


def test_it_takes_the_place_of_a_cache(views: Views, autoencoder: Autoencoder) -> None:
    assert isinstance(stream(views, autoencoder), Latents)


def test_who_wants_a_part_gets_that_part(views: Views, autoencoder: Autoencoder) -> None:
    source, anywhere = stream(views, autoencoder), torch.zeros(6, dtype=torch.bool)
    for draw in (
        lambda wanted: source.draw_objects(3, number(1), wanted=wanted),
        lambda wanted: source.draw_pictures(anywhere, number(1), wanted),
    ):
        whole, part = draw(slice(None)), draw(slice(4, 8))
        for name in ("latents", "camera", "azimuth", "ids"):
            assert torch.equal(getattr(part, name)[4:8], getattr(whole, name)[4:8])
        assert not part.latents[:4].any() and not part.latents[8:].any()


def test_mixed_precision_of_the_training_does_not_reach_the_data(views: Views, autoencoder: Autoencoder) -> None:
    source, frontal = stream(views, autoencoder), torch.ones(3, dtype=torch.bool)
    expected = source.draw_objects(2, number(1)), source.draw_pictures(frontal, number(1))
    with torch.autocast("cpu", torch.bfloat16):
        found = source.draw_objects(2, number(1)), source.draw_pictures(frontal, number(1))
    for a, b in zip(expected, found, strict=True):
        assert_same(a, b)
