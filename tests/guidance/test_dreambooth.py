from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image

from data.cameras import condition
from data.errors import UserError
from data.samplers import turntable
from data.toybox.raycast import BACKGROUND
from guidance.diffusion_prior import DiffusionPrior
from guidance.learner import Learner
from guidance.sampling import DDIM
from systems.rng import step_generator
from systems.training.dreambooth import DreamBooth
from systems.training.personal_prior import write_prior
from systems.training.preserving import ClassPrior, Nothing, Parameters, Preservation
from tests.save_at import SaveAt


@pytest.fixture
def pictures(tmp_path, fresh_rng):
    """Three plain ones: their corner tells which."""
    (tmp_path / "pictures").mkdir()
    for i, color in enumerate((40, 120, 200)):
        image = np.full((20, 24, 3), color, dtype=np.uint8)
        image[:, :6] = 255  # brighter at the left
        Image.fromarray(image).save(tmp_path / "pictures" / f"{i}.png")
    return str(tmp_path / "pictures")


@pytest.fixture
def prior(prior_folder):
    return DiffusionPrior(str(prior_folder("epsilon")), dtype="float32")


def system(prior, pictures, preservation=None, **options):
    known = {"kind": "dog", "token": "sks", "batch_size": 2, "max_steps": 4, "learning_rate": 1e-3}
    return DreamBooth(prior, preservation or Parameters(10.0), pictures, **known | options)


def fit(learning, folder, ckpt_path=None, callbacks=(), pieces=1):
    trainer = pl.Trainer(
        max_steps=learning.max_steps, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, callbacks=list(callbacks), default_root_dir=folder,
        accumulate_grad_batches=pieces,
    )  # fmt: skip
    trainer.fit(learning, ckpt_path=ckpt_path)
    return learning


def state(learning):
    return {name: weight.clone() for name, weight in learning.state_dict().items()}


@pytest.mark.parametrize("rank", [None, 2])
def test_an_interrupted_run_goes_on_bit_equal(prior, pictures, tmp_path, rank):
    make = lambda: system(prior, pictures, rank=rank)
    whole = state(fit(make(), tmp_path, callbacks=[SaveAt(2, tmp_path / "half.ckpt")]))
    rest = state(fit(make(), tmp_path, ckpt_path=tmp_path / "half.ckpt"))
    fresh = state(make())
    assert all(torch.equal(whole[name], rest[name]) for name in whole)
    assert any(not torch.equal(whole[name], fresh[name]) for name in whole)


def test_a_strong_pull_keeps_the_weights_where_they_were(prior, pictures, tmp_path):
    def moved(preservation):
        learning = system(prior, pictures, preservation, weight_decay=0.0, max_steps=12)
        before = [weight.detach().clone() for weight in learning.learner.weights()]
        fit(learning, tmp_path)
        return sum((now - was).abs().sum().item() for now, was in zip(learning.learner.weights(), before, strict=True))

    assert moved(Parameters(1e6)) < 0.5 * moved(Nothing())


def test_what_is_written_is_what_was_learned(prior, pictures, tmp_path):
    learning = fit(system(prior, pictures), tmp_path)
    write_prior(prior, learning.learner, tmp_path / "prior", torch.float32)
    back = DiffusionPrior(str(tmp_path / "prior"), dtype="float32")
    own = learning.learner.unet.state_dict()
    assert all(torch.equal(weight, own[name]) for name, weight in back.unet.state_dict().items())
    assert back.prediction_type == "epsilon" and torch.equal(back.alphas_cumprod, prior.alphas_cumprod)
    assert back.vocabulary == (*prior.vocabulary, "sks") and back.text_fingerprint != prior.text_fingerprint
    ids = learning.learner.tokenizer(["a sks dog"])
    with torch.no_grad():
        said = learning.learner.text_encoder(ids).last_hidden_state
    torch.testing.assert_close(back.encode_text(["a sks dog"]), said)
    images = torch.rand(4, 16, 16, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(back.encode(images), prior.encode(images))


def test_a_prior_is_written_again_over_what_an_interruption_left(prior, pictures, tmp_path):
    learning = system(prior, pictures)
    for _ in range(2):
        (tmp_path / ".draft-0123abcd-prior" / "unet").mkdir(parents=True)
        write_prior(prior, learning.learner, tmp_path / "prior", torch.float16)
    assert not list(tmp_path.glob(".*"))
    assert DiffusionPrior(str(tmp_path / "prior"), dtype="float32").n_view == 4


def test_a_prior_that_has_learned_one_subject_can_learn_another(prior, pictures, tmp_path):
    write_prior(prior, system(prior, pictures).learner, tmp_path / "prior", torch.float32)
    once = DiffusionPrior(str(tmp_path / "prior"), dtype="float32")
    assert system(once, pictures, token="zwx").learner.tokenizer.known is None
    with pytest.raises(UserError, match="learned already"):
        system(once, pictures)


def test_the_pieces_of_a_step_have_its_pictures_between_them_and_noise_of_their_own(
    prior, pictures, tmp_path, monkeypatch
):
    learning = system(prior, pictures, Nothing(), batch_size=6, max_steps=2)
    batches = [learning.draw(step_generator(0, step))[0] for step in range(2)]
    wanted, seen, noise = torch.cat([prior.encode(batch) for batch in batches]), [], []
    loss = Learner.loss

    def spying(learner, latents, sentences, rng, cameras):
        seen.append(latents)
        assert len(sentences) == 2
        noise.append(rng.get_state())
        return loss(learner, latents, sentences, rng, cameras)

    monkeypatch.setattr(Learner, "loss", spying)
    fit(learning, tmp_path, pieces=3)
    torch.testing.assert_close(torch.cat(seen), wanted)
    assert len({tuple(state.tolist()) for state in noise}) == len(noise) == 6


def test_pieces_that_share_a_batch_unevenly_are_refused(prior, pictures, tmp_path):
    with pytest.raises(UserError, match=r"system\.batch_size=2: 4 processes and pieces share it; say a multiple of 4"):
        fit(system(prior, pictures), tmp_path, pieces=4)


def test_every_picture_is_drawn_equally_often_and_none_is_mirrored(prior, pictures):
    learning = system(prior, pictures, batch_size=6)
    drawn, said, _ = learning.draw(torch.Generator().manual_seed(0))
    assert set(said) == {"a sks dog"}
    middle = (drawn[:, 8, 8, 0] * 255).round().int().tolist()
    assert sorted(middle) == [40, 40, 120, 120, 200, 200]
    assert (drawn[:, :, 0].mean(dim=(1, 2)) > drawn[:, :, -1].mean(dim=(1, 2))).all()
    still = system(prior, pictures, batch_size=3, shift=0.0, zoom=0.0).draw(torch.Generator().manual_seed(0))[0]
    torch.testing.assert_close(still.sort(dim=0).values, learning.pictures.colors.sort(dim=0).values)


def test_pictures_that_are_cut_out_stand_before_grey_and_before_colours_of_which_something_is_said(prior, tmp_path):
    for i in range(3):
        Image.new("RGBA", (16, 16), (250, 10, 10, 0)).save(tmp_path / f"{i}.png")
    learning = system(prior, str(tmp_path), batch_size=40, around=", colorful")
    drawn, said, _ = learning.draw(torch.Generator().manual_seed(0))
    is_grey = ((drawn - BACKGROUND).abs().amax(dim=(1, 2, 3)) < 1e-6).tolist()
    assert said == ["a sks dog" if grey else "a sks dog, colorful" for grey in is_grey]
    assert 10 < sum(is_grey) < 30


def test_each_part_learns_at_its_own_rate(prior, pictures):
    learning = system(prior, pictures, parts=["unet", "text_encoder", "word"], text_rate=2e-3, word_rate=3e-3)
    groups = learning.configure_optimizers().param_groups
    assert [(group["lr"], group["weight_decay"]) for group in groups] == [(1e-3, 0.01), (2e-3, 0.01), (3e-3, 0.0)]
    of_part = learning.learner.by_part()
    assert sum(len(one) for one in of_part.values()) == sum(1 for _ in learning.learner.parameters())


def class_prior():
    return ClassPrior(["a dog", "a dog in red"], DDIM(steps=2), n_pictures=5, batch_size=2)


def test_class_pictures_are_drawn_once_and_those_that_are_lost_again(prior, tmp_path):
    files = lambda: {file.name: file.read_bytes() for file in (tmp_path / "class").iterdir()}
    class_prior().prepare(prior, tmp_path)
    first = files()
    (tmp_path / "class" / "0001.png").unlink()
    class_prior().prepare(prior, tmp_path)
    assert len(first) == 5 and files() == first and prior.n_view == 4
    assert len(set(first.values())) == 5


def test_class_pictures_are_half_of_the_loss(prior, pictures, tmp_path, fresh_rng):
    preservation = class_prior()
    learning = system(prior, pictures, preservation)
    preservation.prepare(prior, tmp_path)
    rng = fresh_rng()
    chosen = torch.randint(5, (2,), generator=rng)
    said = [("a dog", "a dog in red")[i % 2] for i in chosen.tolist()]
    expected = learning.learner.loss(preservation._latents[chosen], said, rng)
    torch.testing.assert_close(preservation(learning.learner, fresh_rng()), expected)


def test_a_word_alone_takes_nothing_from_the_prior(prior, pictures, tmp_path):
    learning = system(prior, pictures, Parameters(1.0), parts=["word"], word_rate=0.1)
    fit(learning, tmp_path)
    write_prior(prior, learning.learner, tmp_path / "prior", torch.float32)
    back = DiffusionPrior(str(tmp_path / "prior"), dtype="float32")
    old = prior.unet.state_dict()
    assert all(torch.equal(weight, old[name]) for name, weight in back.unet.state_dict().items())
    assert torch.equal(back.encode_text(["a red dog"]), prior.encode_text(["a red dog"]))
    untrained = system(prior, pictures).learner
    write_prior(prior, untrained, tmp_path / "untrained", torch.float32)
    said = [one.encode_text(["a sks dog"]) for one in (back, DiffusionPrior(str(tmp_path / "untrained")))]
    assert (said[0] - said[1]).abs().max() > 0.01


def test_all_ways_to_preserve_are_preservations():
    assert all(isinstance(one, Preservation) for one in (Nothing(), Parameters(), class_prior()))


def test_a_picture_that_is_none_is_named(prior, pictures):
    Path(pictures, "1.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"1\.png cannot be read"):
        system(prior, pictures)


def test_two_pictures_are_too_few(prior, pictures):
    Path(pictures, "1.png").unlink()
    with pytest.raises(UserError, match="holds 2 pictures"):
        system(prior, pictures)


def test_a_prior_that_is_told_where_a_picture_was_taken_sees_it_from_there(prior, pictures, fresh_rng):
    learning = system(prior, pictures, azimuths=[-90.0, 0.0, 90.0], batch_size=3, shift=0.0, zoom=0.0)
    images, sentences, cameras = learning.draw(fresh_rng())
    brightness = images[:, :, -1, 0].mean(dim=1)  # away from the bright edge: tells which picture
    order = brightness.argsort()
    torch.testing.assert_close(cameras[order], condition(turntable(4, 8, start=-90.0))[:3])
    latents = prior.encode(images)
    told, untold = (learning.learner.loss(latents, sentences, fresh_rng(), one) for one in (cameras, None))
    assert told != untold
