from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from data.errors import UserError
from data.pictures import CaptionedPictures
from guidance.autoencoder import Autoencoder
from guidance.weights.clip_tokenizer import BytePairs, clip_tokenizer
from systems.training.mini_networks import new_autoencoder, new_tokenizer
from systems.training_data.latent_cache import LatentBatch, LatentCache, Latents
from systems.training_data.picture_latents import CachedPictures, PictureStream, StreamedPictures, WithPictures
from tests.conftest import Run

COLORS = ("red", "green", "blue", "white", "black", "yellow")


@pytest.fixture(scope="module")
def autoencoder() -> Autoencoder:
    return Autoencoder(new_autoencoder((8, 8, 8)))


@pytest.fixture
def folder(tmp_path: Path) -> str:
    for color in COLORS:
        Image.new("RGB", (20, 16), color).save(tmp_path / f"{color}.png")
        (tmp_path / f"{color}.txt").write_text(f"a {color} dog on a lawn")
    return str(tmp_path)


def number(i: int) -> torch.Generator:
    return torch.Generator().manual_seed(i)


def assert_same(a: LatentBatch, b: LatentBatch) -> None:
    for name in ("latents", "camera", "azimuth", "ids"):
        assert torch.equal(getattr(a, name), getattr(b, name)), name


def test_a_cache_and_a_stream_draw_the_same(folder: str, autoencoder: Autoencoder, tmp_path: Path) -> None:
    cache = CachedPictures(folder, str(tmp_path / "c.pt"), 16)(autoencoder, new_tokenizer())
    stream = StreamedPictures(folder, 16)(autoencoder, new_tokenizer())
    first = cache.draw(5, number(0))
    torch.testing.assert_close(first.latents, stream.draw(5, number(0)).latents, atol=2e-3, rtol=0)
    assert torch.equal(first.ids, stream.draw(5, number(0)).ids)
    assert not torch.equal(first.ids, cache.draw(5, number(1)).ids)


def test_a_picture_comes_with_its_own_caption(folder: str, autoencoder: Autoencoder) -> None:
    words = new_tokenizer()
    seen = StreamedPictures(folder, 16)(autoencoder, words).draw(12, number(0))
    for latents, ids in zip(seen.latents, seen.ids, strict=True):
        color = words.words[int(ids[2]) - 4]
        image = torch.tensor(Image.new("RGB", (1, 1), color).getpixel((0, 0))) / 255
        torch.testing.assert_close(latents, autoencoder.encode(image.expand(1, 16, 16, 3))[0], atol=0.02, rtol=0.02)


def test_who_wants_a_part_gets_that_part(folder: str, autoencoder: Autoencoder) -> None:
    stream = StreamedPictures(folder, 16)(autoencoder, new_tokenizer())
    whole, part = stream.draw(6, number(0)), stream.draw(6, number(0), slice(2, 4))
    assert torch.equal(part.ids[2:4], whole.ids[2:4]) and torch.equal(part.latents[2:4], whole.latents[2:4])
    assert not part.latents[:2].any() and not part.latents[4:].any()


def test_a_cache_is_kept_until_a_picture_changes(folder: str, autoencoder: Autoencoder, tmp_path: Path) -> None:
    make = lambda: CachedPictures(folder, str(tmp_path / "c.pt"), 16)(autoencoder, new_tokenizer())
    first, written = make(), (tmp_path / "c.pt").stat().st_mtime_ns
    assert torch.equal(make().latents, first.latents) and (tmp_path / "c.pt").stat().st_mtime_ns == written
    Image.new("RGB", (40, 40), "pink").save(tmp_path / "red.png")
    assert not torch.equal(make().latents, first.latents)


def test_captions_are_those_that_the_files_say_now(folder: str, autoencoder: Autoencoder, tmp_path: Path) -> None:
    make = lambda words: CachedPictures(folder, str(tmp_path / "c.pt"), 16)(autoencoder, words)
    zeros, ends = (BytePairs(clip_tokenizer(pads_with_zero)) for pads_with_zero in (True, False))
    first = make(zeros)
    written = (tmp_path / "c.pt").stat().st_mtime_ns
    assert torch.equal(make(ends).ids[0], ends(["a black dog on a lawn"])[0])
    for color in COLORS:
        (tmp_path / f"{color}.txt").write_text(f"a {color} cat on a lawn")
    again = make(zeros)
    assert torch.equal(again.ids[0], zeros(["a black cat on a lawn"])[0])
    assert torch.equal(again.latents, first.latents) and (tmp_path / "c.pt").stat().st_mtime_ns == written


def test_a_picture_that_another_of_the_same_size_replaces_is_encoded_anew(
    folder: str, autoencoder: Autoencoder, tmp_path: Path
) -> None:
    make = lambda: CachedPictures(folder, str(tmp_path / "c.pt"), 16)(autoencoder, new_tokenizer())
    red, pink = (tmp_path / name for name in ("red.png", "pink"))
    Image.new("RGB", (20, 16), "pink").save(pink, "png")
    for file in (red, pink):
        file.write_bytes(file.read_bytes().ljust(300, b" "))  # behind the end of what is read
    first = make()
    red.write_bytes(pink.read_bytes())
    changed = (make().latents != first.latents).flatten(1).any(dim=1)
    assert changed.tolist() == [color == "red" for color in sorted(COLORS)]


def test_captions_of_which_most_words_are_unknown_are_refused(
    folder: str, autoencoder: Autoencoder, tmp_path: Path
) -> None:
    for color in COLORS:
        (tmp_path / f"{color}.txt").write_text("a cosy velvet armchair")
    sentence = "system.pictures.path=.*: the tokenizer knows 25% of the words of its captions, less than half"
    with pytest.raises(UserError, match=sentence):
        StreamedPictures(folder, 16)(autoencoder, new_tokenizer())
    with pytest.raises(UserError, match=sentence):
        CachedPictures(folder, str(tmp_path / "c.pt"), 16)(autoencoder, new_tokenizer())


def spoil(folder: str, *colors: str) -> None:
    for color in colors:
        Path(folder, f"{color}.png").write_bytes(Path(folder, f"{color}.png").read_bytes()[:40])


def test_in_the_place_of_a_bad_picture_stands_another_always_the_same(
    folder: str, autoencoder: Autoencoder, caplog: pytest.LogCaptureFixture
) -> None:
    spoil(folder, "red", "blue")
    Path(folder, "green.txt").write_text(" ")
    stream, again = (StreamedPictures(folder, 16)(autoencoder, new_tokenizer()) for _ in range(2))
    for seed in range(4):
        whole = stream.draw(8, number(seed))
        assert_same(whole, again.draw(8, number(seed)))
        assert torch.equal(whole.ids[6:], again.draw(8, number(seed), slice(6, 8)).ids[6:])
    said = {new_tokenizer().words[int(ids[2]) - 4] for ids in whole.ids}
    assert said <= {"white", "black", "yellow"}
    named = [record.getMessage() for record in caplog.records]
    assert [sum(f"{color}.png cannot be read" in line for line in named) for color in COLORS] == [2, 2, 2, 0, 0, 0]


def test_bad_pictures_and_captions_are_left_out_of_a_cache(
    folder: str, autoencoder: Autoencoder, tmp_path: Path
) -> None:
    spoil(folder, "black", "yellow")  # the first and the last by name
    Path(folder, "green.txt").write_bytes(b"\xff")
    words = new_tokenizer()
    make = lambda: CachedPictures(folder, str(tmp_path / "c.pt"), 16)(autoencoder, words)
    for cache in (make(), make()):
        assert [words.words[int(ids[2]) - 4] for ids in cache.ids] == ["blue", "red", "white"]
        for latents, color in zip(cache.latents, ("blue", "red", "white"), strict=True):
            image = torch.tensor(Image.new("RGB", (1, 1), color).getpixel((0, 0))) / 255
            expected = autoencoder.encode(image.expand(1, 16, 16, 3))[0]
            torch.testing.assert_close(latents.float(), expected, atol=0.02, rtol=0.02)


def test_pictures_of_which_nearly_all_are_bad_are_refused(
    folder: str, autoencoder: Autoencoder, tmp_path: Path
) -> None:
    spoil(folder, *COLORS)
    with pytest.raises(UserError, match=r"black.png cannot be read .* that is so with 6 of 6 pictures"):
        CachedPictures(folder, str(tmp_path / "c.pt"), 16)(autoencoder, new_tokenizer())
    with pytest.raises(UserError, match=r"cannot be read .* that is so with 32 of 32 pictures"):
        StreamedPictures(folder, 16)(autoencoder, new_tokenizer()).draw(1, number(0))
    for color in COLORS:
        Path(folder, f"{color}.txt").write_text("")
    with pytest.raises(UserError, match=r"has no caption\).* that is so with 6 of 6 pictures"):
        StreamedPictures(folder, 16)(autoencoder, new_tokenizer())


def test_objects_stay_what_they_are_beside_pictures(folder: str, autoencoder: Autoencoder) -> None:
    objects = LatentCache(
        torch.ones(3, 4, 4, 4, 4), torch.ones(3, 4, 16), torch.ones(3, 4), torch.zeros(3, 1, 24, dtype=torch.long)
    )
    pictures = PictureStream(CaptionedPictures(folder, 16), autoencoder, new_tokenizer())
    both = WithPictures(objects, pictures)
    assert isinstance(both, Latents)
    assert_same(both.draw_objects(2, number(0), 1), objects.draw_objects(2, number(0), 1))
    single = both.draw_pictures(torch.ones(5, dtype=torch.bool), number(0))
    assert_same(single, pictures.draw(5, number(0)))
    assert not single.camera.any() and not single.azimuth.any()


def test_the_configuration_offers_pictures_and_streams(run: Run, folder: str) -> None:
    run.accepts("experiment=train_prior", "system/pictures=cached", f"system.pictures.path={folder}")
    run.accepts(
        "experiment=train_prior", "system/source=streamed", "system/pictures=streamed", f"system.pictures.path={folder}"
    )
    assert "system.pictures.path is missing" in run.error("experiment=train_prior", "system/pictures=cached")


def test_a_full_size_training_takes_shards_and_pictures_of_ones_own(run: Run, folder: str) -> None:
    own = ("system/views=assets", "system.views.path=shards", "system/source=streamed")
    run.accepts(
        "experiment=train_mvdream", "prior=any", "prior.path=assets/mini", *own, "system/pictures=streamed",
        f"system.pictures.path={folder}",
    )  # fmt: skip
