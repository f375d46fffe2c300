import csv
import errno
import json
import math

import pytest
import pytorch_lightning as pl
import torch

from data.directions import DIRECTIONS, FRONT
from data.samplers import FourViews
from data.toy_views import ToyViews
from data.toybox.captions import VOCABULARY, caption, parse
from data.toybox.grammar import KINDS
from data.toybox.near_misses import near_miss, one_color_away
from data.toybox.split import HELD_OUT, draw_training_toy, is_held_out
from data.words import words_of
from metrics.clip import Clip
from systems.reports.progress import Progress
from systems.training.clip_report import ClipReport, balanced_accuracy, measure
from systems.training.mini_clip import LENGTH, new_clip, new_clip_tokenizer
from systems.training.train_clip import TrainClip, pair_loss
from systems.training_data.augmentation import Augmentation, blurred, moved
from systems.training_data.caption_pairs import SAYS_NOTHING, CaptionPairs, Said, true_of, with_view
from systems.training_data.toy_pictures import kept_pictures, render_pictures
from tests.save_at import SaveAt


@pytest.fixture(scope="module")
def views():
    return ToyViews(FourViews(size=32, elevation=(-10.0, 70.0)), n_view=4, n_kinds=32)


@pytest.fixture(scope="module")
def pictures(views):
    return render_pictures(views, 40, seed=0)


def tiny_clip():
    return new_clip(image_size=32, patch=16, width=32, layers=1, text_width=32, text_layers=1, shared=16)


def tiny_system(views, tmp_path, **options):
    return TrainClip(
        tiny_clip(), new_clip_tokenizer(), views, Augmentation(), str(tmp_path / "clip"), str(tmp_path / "pictures.pt"),
        n_objects=16, batch_size=16, max_steps=options.pop("max_steps", 4), warmup_steps=1, **options,
    )  # fmt: skip


def fit(system, folder, ckpt_path=None, callbacks=()):
    trainer = pl.Trainer(
        max_steps=system.max_steps, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, callbacks=list(callbacks), default_root_dir=folder,
    )  # fmt: skip
    trainer.fit(system, ckpt_path=ckpt_path, weights_only=True)


def test_one_true_caption_gives_infonce(rng):
    logits = torch.randn(5, 5, generator=rng)
    wanted = torch.nn.functional.cross_entropy(logits, torch.arange(5))
    torch.testing.assert_close(pair_loss(logits, torch.eye(5, dtype=torch.bool)), wanted)


def test_true_captions_do_not_compete_and_pictures_without_one_do_not_count():
    logits = torch.tensor([[2.0, 5.0, 1.0], [0.0, 0.0, 9.0]])
    true = torch.tensor([[True, True, False], [False, False, False]])
    wanted = (math.log(1 + math.exp(1 - 2)) + math.log(1 + math.exp(1 - 5))) / 2
    assert pair_loss(logits, true).item() == pytest.approx(wanted)


def test_a_caption_is_true_of_the_same_toy_from_the_same_side():
    dog, other = parse("a blue dog"), parse("a red cat")
    said = [Said("", dog, SAYS_NOTHING), Said("", dog, FRONT), Said("", other, FRONT), Said("", other, SAYS_NOTHING)]
    seen = torch.tensor([[FRONT, FRONT + 1], [FRONT + 1, FRONT]])
    assert true_of([dog, other], seen, said).int().tolist() == [
        [1, 1, 0, 0],
        [1, 0, 0, 0],
        [0, 0, 0, 1],
        [0, 0, 1, 1],
    ]


def test_every_picture_has_a_true_caption_that_says_its_side(pictures, rng):
    batch = CaptionPairs(pictures, n_near_misses=2).draw(8, rng)
    assert batch.images.shape == (32, 32, 32, 3) and len(batch.texts) == 8 * 7
    says_view = torch.tensor([text.endswith(" view") for text in batch.texts])
    assert (batch.true & says_view).any(dim=1).all() and (batch.true & ~says_view).any(dim=1).all()


def test_no_text_ever_says_a_held_out_combination(pictures, rng):
    pairs = CaptionPairs(pictures, n_near_misses=4)
    for _ in range(20):
        for text in pairs.draw(8, rng).texts:
            plain = text.rsplit(", ", 1)[0] if text.endswith(" view") else text
            assert not is_held_out(parse(plain)), text


def test_near_misses_are_other_toys_and_colours_change_one_at_a_time(rng):
    for _ in range(500):
        toy = draw_training_toy(rng, list(KINDS))
        other = near_miss(toy, rng)
        assert other != toy and not is_held_out(other) and parse(caption(other)) == other
    dog = parse(HELD_OUT[0])
    away = one_color_away(dog)
    assert len(away) == len(set(away)) == 8 + 8 and dog not in away
    for other in away:
        changed = [a.color != b.color for a, b in zip((dog, *dog.worn), (other, *other.worn), strict=True)]
        assert sum(changed) == 1


def test_the_tokenizer_reads_words_as_captions_have_them(rng):
    tokenizer = new_clip_tokenizer()
    text = "A red Dog, wearing a blue hat!, front view"
    words = tokenizer.convert_ids_to_tokens(tokenizer(text).input_ids)
    assert words == ["<start>", *words_of(text), "<end>"]
    known = [tokenizer(word).input_ids[1:-1] for word in (*VOCABULARY, *DIRECTIONS, "overhead")]
    assert all(len(ids) == 1 and ids[0] > 3 for ids in known) and tokenizer("wolf").input_ids == [1, 2, 3]
    longest = "an orange penguin wearing a yellow crown and a purple backpack, 3d asset, colorful background"
    assert len(tokenizer(with_view(longest, FRONT)).input_ids) <= LENGTH


def test_a_blur_keeps_what_is_even_and_spreads_a_point_as_a_gaussian():
    images = torch.zeros(2, 17, 17, 3)
    images[:, 8, 8] = 1.0
    still, spread = blurred(images, torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(still, images[0])
    assert spread.sum().item() == pytest.approx(3.0, rel=1e-4)
    assert (spread[8, 9, 0] / spread[8, 8, 0]).item() == pytest.approx(math.exp(-0.5), rel=1e-4)
    torch.testing.assert_close(
        blurred(torch.full((1, 9, 9, 3), 0.3), torch.tensor([1.5])), torch.full((1, 9, 9, 3), 0.3)
    )


def test_a_picture_is_moved_mirrored_and_enlarged():
    images = torch.zeros(1, 8, 8, 3)
    images[0, 2, 1] = 1.0
    one, none = torch.ones(1), torch.zeros(1, 2)
    right = moved(images, one, torch.tensor([[0.25, 0.0]]), torch.tensor([False]))
    torch.testing.assert_close(right, images.roll(2, dims=2), atol=1e-5, rtol=0)
    torch.testing.assert_close(moved(images, one, none, torch.tensor([True])), images.flip(2), atol=1e-5, rtol=0)
    square = torch.zeros(1, 8, 8, 3)
    square[0, 3:5, 3:5] = 1.0
    assert moved(square, 2 * one, none, torch.tensor([False])).sum() > 2.5 * square.sum()


def test_what_is_told_right_counts_alike_for_each_side():
    true = torch.tensor([0, 0, 0, 0, 1, 2])
    assert balanced_accuracy(torch.zeros(6, dtype=torch.long), true) == pytest.approx(1 / 3)
    assert balanced_accuracy(true, true) == 1


def test_it_learns_to_tell_what_it_was_shown(views, tmp_path):
    system = tiny_system(views, tmp_path, max_steps=30, learning_rate=3e-3)
    fit(system, tmp_path, callbacks=[Progress()])
    rows = list(csv.DictReader((tmp_path / "metrics.csv").open()))
    losses = [float(row["loss"]) for row in rows]
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])


def test_interrupted_training_resumes_bit_equal(views, tmp_path):
    whole, rest = (tiny_system(views, tmp_path) for _ in range(2))
    fit(whole, tmp_path, callbacks=[SaveAt(2, tmp_path / "half.ckpt")])
    fit(rest, tmp_path, ckpt_path=tmp_path / "half.ckpt")
    expected, found = whole.state_dict(), rest.state_dict()  # the average of the weights, too
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_a_finished_run_leaves_a_clip_and_its_figures(views, tmp_path):
    captions = (HELD_OUT[0], "a green car")
    fit(tiny_system(views, tmp_path, max_steps=2), tmp_path, callbacks=[ClipReport(every=2, captions=captions)])
    said = json.loads((tmp_path / "metrics.json").read_text())
    sharp = measure(Clip(str(tmp_path / "clip")), captions)
    assert said["sharp"] == vars(sharp) and said["blurred"]["deviation"] == 1.5 and said["steps"] == 2
    assert set(sharp.by_toy) == set(captions) and sharp.n_candidates == (1 + 8 + 8) + (1 + 9)


def test_figures_are_written_after_the_weights(views, tmp_path, monkeypatch):
    seen, save = [], TrainClip.save

    def noting(system):
        save(system)
        seen.append((tmp_path / "metrics.json").exists())

    monkeypatch.setattr(TrainClip, "save", noting)
    fit(tiny_system(views, tmp_path, max_steps=2), tmp_path, callbacks=[ClipReport(every=2, captions=HELD_OUT[:1])])
    assert seen == [False, False] and (tmp_path / "metrics.json").exists()


def test_a_full_disk_leaves_the_clip_before(views, tmp_path, monkeypatch):
    before = tiny_system(views, tmp_path)
    before.save()

    def fails(folder):
        raise OSError(errno.ENOSPC, "No space left on device")

    after = tiny_system(views, tmp_path)
    monkeypatch.setattr(after.tokenizer, "save_pretrained", fails)
    torch.nn.init.ones_(after.average.visual_projection.weight)
    with pytest.raises(OSError, match="No space left"):
        after.save()
    found = Clip(str(tmp_path / "clip"))._model.visual_projection.weight
    torch.testing.assert_close(found, before.average.visual_projection.weight.detach(), atol=1e-3, rtol=1e-3)
    assert [path.name for path in tmp_path.iterdir()] == ["clip"]


def test_pictures_are_the_same_from_disk_and_of_other_toys_not_used(views, tmp_path):
    make = lambda source, seed: kept_pictures(tmp_path / "a.pt", source, 20, seed)
    first, again, other = make(views, 0), make(views, 0), make(views, 1)
    assert first.images.shape == (20, 4, 32, 32, 3) and first.captions == again.captions
    assert torch.equal(first.images, again.images) and torch.equal(first.azimuth, again.azimuth)
    assert not torch.equal(first.images, other.images)


def test_trained_on_toys_are_never_held_out(pictures):
    assert not any(is_held_out(parse(text)) for text in pictures.captions)
