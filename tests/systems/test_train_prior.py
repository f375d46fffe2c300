import math

import imageio.v3
import pytest
import pytorch_lightning as pl
import torch

from data.directions import DIRECTIONS
from data.samplers import FourViews, Orbit
from data.toy_views import ToyViews
from guidance.autoencoder import Autoencoder
from guidance.camera_unet import CameraUNet
from guidance.diffusion_prior import DiffusionPrior
from guidance.multiview import inflate, set_view_count
from guidance.sampling import DDIM
from guidance.tokenizer import BOS, EOS, PAD, UNKNOWN, WordTokenizer
from guidance.weights.clip_tokenizer import BytePairs, clip_tokenizer
from systems.training.mini_networks import (
    load_unet,
    new_autoencoder,
    new_scheduler,
    new_text_encoder,
    new_tokenizer,
    new_unet,
)  # fmt: skip
from systems.training.sample_grid import SampleGrid
from systems.training.train_autoencoder import TrainAutoencoder
from systems.training.train_prior import Mixture, TrainPrior
from systems.training_data.latent_cache import LatentCache, build_cache, cached, fingerprint
from tests.save_at import SaveAt


@pytest.fixture(scope="module")
def autoencoder():
    model = new_autoencoder((8, 8, 8))
    model.register_to_config(latents_mean=[0.0] * 4, latents_std=[1.0] * 4)
    return model


@pytest.fixture
def views():
    return ToyViews(FourViews(size=64), n_view=4, n_kinds=12)


def tiny_system(autoencoder, views, tmp_path, **options):
    return TrainPrior(
        new_unet((16, 16), text_width=16, heads=2), new_text_encoder(16, 1, 2), new_tokenizer(), new_scheduler(),
        autoencoder, views, options.pop("mixture", Mixture(picture_share=1.0)), str(tmp_path / "prior"),
        str(tmp_path / "latents.pt"), n_objects=16, batch_size=8, max_steps=4, **options,
    )  # fmt: skip


def test_interrupted_in_the_middle_the_prior_before_is_still_readable(autoencoder, views, tmp_path, monkeypatch):
    before, after = (tiny_system(autoencoder, views, tmp_path) for _ in range(2))
    before.save()
    torch.nn.init.ones_(after.average.unet.conv_out.bias)

    def interrupts(folder):
        raise KeyboardInterrupt

    monkeypatch.setattr(after.tokenizer, "save", interrupts)
    with pytest.raises(KeyboardInterrupt):
        after.save()
    found = DiffusionPrior(str(tmp_path / "prior"), n_view=1, dtype="float32").unet.conv_out.bias
    torch.testing.assert_close(found, before.average.unet.conv_out.bias.detach(), atol=1e-3, rtol=1e-3)
    assert [path.name for path in tmp_path.iterdir()] == ["prior"]
    monkeypatch.undo()
    after.save()
    assert (DiffusionPrior(str(tmp_path / "prior"), n_view=1, dtype="float32").unet.conv_out.bias == 1).all()


def fit(system, max_steps=4, ckpt_path=None, callbacks=()):
    trainer = pl.Trainer(
        max_steps=max_steps, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, callbacks=list(callbacks),
    )  # fmt: skip
    trainer.fit(system, ckpt_path=ckpt_path)
    return trainer


def test_sample_grids_are_drawn_while_it_trains(autoencoder, views, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where a trainer writes that was told no folder
    grid = SampleGrid(every=4, n_captions=1, sampler=DDIM(steps=2))
    trainer = fit(tiny_system(autoencoder, views, tmp_path), callbacks=[grid])
    assert imageio.v3.imread(tmp_path / "images" / "000004.png").shape == (64, 8 * 64, 3)
    assert 0 < trainer.callback_metrics["held_out/mean_psnr"] < 40


def weights(system):
    return torch.cat([p.detach().flatten() for p in system.denoiser.parameters()])


def test_the_2d_prior_is_trained_saved_and_readable(autoencoder, views, tmp_path):
    system = tiny_system(autoencoder, views, tmp_path)
    before = weights(system).clone()
    fit(system)
    assert not torch.equal(before, weights(system))
    prior = DiffusionPrior(str(tmp_path / "prior"), n_view=1, dtype="float32")
    assert prior.image_size == 64 and "dog" in (prior.vocabulary or ())
    assert prior.encode_text(["a red dog"]).shape == (1, 24, 16)


def test_the_multi_view_prior_starts_as_the_2d_one(autoencoder, views, tmp_path):
    fit(tiny_system(autoencoder, views, tmp_path))
    flat = load_unet(str(tmp_path / "prior"), multi_view=False)
    full = load_unet(str(tmp_path / "prior"), multi_view=True)
    assert full.takes_camera and not flat.takes_camera
    noisy, t, text, camera = (
        torch.randn(4, 4, 16, 16),
        torch.full((4,), 300),
        torch.randn(4, 24, 16),
        torch.randn(4, 16),
    )
    for unet in (flat, full):
        set_view_count(unet, 1)
    with torch.no_grad():
        torch.testing.assert_close(full(noisy, t, text, class_labels=camera).sample, flat(noisy, t, text).sample)


def test_interrupted_training_resumes_bit_equal(autoencoder, views, tmp_path):
    make = lambda: tiny_system(autoencoder, views, tmp_path, mixture=Mixture(picture_share=0.5))
    with_camera = lambda: _inflated(make())
    whole = with_camera()
    fit(whole, callbacks=[SaveAt(2, tmp_path / "half.ckpt")])
    rest = with_camera()
    fit(rest, ckpt_path=tmp_path / "half.ckpt")
    expected, found = whole.state_dict(), rest.state_dict()  # the average of the weights, too
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_a_cache_of_another_autoencoder_is_not_used(autoencoder, views, tmp_path):
    words = new_tokenizer()
    first = cached(tmp_path / "c.pt", views, Autoencoder(autoencoder), words, 16, 0)
    other = new_autoencoder((8, 8, 8), seed=1)
    other.register_to_config(latents_mean=[0.0] * 4, latents_std=[1.0] * 4)
    again = cached(tmp_path / "c.pt", views, Autoencoder(other), words, 16, 0)
    assert not torch.equal(first.latents, again.latents)


def test_a_cache_of_other_tokens_is_not_used(autoencoder):
    small = ToyViews(FourViews(size=8), n_view=4, n_kinds=12)
    zeros, ends = (BytePairs(clip_tokenizer(pads_with_zero)) for pads_with_zero in (True, False))
    told = [fingerprint(small, Autoencoder(autoencoder), tokenizer, 2, 0) for tokenizer in (zeros, ends, zeros)]
    assert told[0] != told[1] and told[0] == told[2]


def _inflated(system):
    system.denoiser.unet = inflate(system.denoiser.unet)
    system.average.unet = inflate(system.average.unet)
    system.average.requires_grad_(False)
    torch.manual_seed(0)
    for unet in (system.denoiser.unet, system.average.unet):
        for name, parameter in unet.named_parameters():
            if name.startswith("class_embedding.linear_1"):
                torch.nn.init.constant_(parameter, 0.01)
    return system


def test_checkpoints_hold_no_frozen_autoencoder(autoencoder, views, tmp_path):
    names = tiny_system(autoencoder, views, tmp_path).state_dict()
    assert not any("autoencoder" in name for name in names)


def test_the_cache_is_the_same_from_disk_and_from_other_processes(autoencoder, views, tmp_path):
    make = lambda path, workers: cached(path, views, Autoencoder(autoencoder), new_tokenizer(), 40, 0, workers)
    first, again, by_workers = make(tmp_path / "a.pt", 0), make(tmp_path / "a.pt", 0), make(tmp_path / "b.pt", 2)
    assert first.latents.shape == (40, 4, 4, 16, 16)
    for name, tensor in first.tensors().items():
        assert torch.equal(tensor, again.tensors()[name]) and torch.equal(tensor, by_workers.tensors()[name])


def test_captions_in_the_cache_say_when_the_background_is_colorful(autoencoder, views, rng):
    words = new_tokenizer()
    cache = build_cache(views, Autoencoder(autoencoder), words, 32, 0)
    colorful = words(["background"])[0, 1]
    mentioned = (cache.ids == colorful).any(dim=2)
    assert torch.equal(mentioned.all(dim=1), mentioned.any(dim=1)) and 0 < mentioned[:, 0].sum() < 32


def test_pictures_are_frontal_as_often_as_asked(autoencoder, views, rng):
    cache = build_cache(views, Autoencoder(autoencoder), new_tokenizer(), 32, 0)
    camera = cache.draw_pictures(torch.rand(2000, generator=rng) < 0.8, rng).camera.reshape(-1, 4, 4)
    azimuth = torch.atan2(camera[:, 1, 3], camera[:, 0, 3])
    assert float((azimuth.abs() <= torch.pi / 4).float().mean()) == pytest.approx(0.85, abs=0.03)


def test_the_autoencoder_learns_and_its_latents_are_standardised(tmp_path):
    from diffusers import AutoencoderKL

    source = ToyViews(Orbit(size=64), n_view=1, n_kinds=2)
    system = TrainAutoencoder(
        new_autoencoder((8, 8, 8)), source, str(tmp_path), batch_size=4, max_steps=5, warmup_steps=1
    )
    fit(system)
    saved = AutoencoderKL.from_pretrained(tmp_path / "vae", torch_dtype=torch.float32)
    images = source.draw(16, torch.Generator().manual_seed(5)).images
    latents = Autoencoder(saved).encode(images)
    assert float(latents.std()) == pytest.approx(1.0, abs=0.2) and float(latents.mean()) == pytest.approx(0.0, abs=0.2)


def test_words_become_tokens_and_strangers_one_token():
    tokenizer = WordTokenizer(["a", "red", "dog", ","], length=6)
    assert tokenizer(["A red dog"])[0].tolist() == [BOS, 4, 5, 6, EOS, PAD]
    assert tokenizer(["a wolf, red"])[0].tolist() == [BOS, 4, UNKNOWN, 7, 5, EOS]
    assert tokenizer(["a a a a a a a"])[0].tolist() == [BOS, 4, 4, 4, 4, EOS]


def test_the_tokenizer_comes_back_from_disk(tmp_path):
    new_tokenizer().save(tmp_path)
    assert WordTokenizer.load(tmp_path).words == new_tokenizer().words


def test_a_camera_unet_without_camera_skips_its_embedding():
    unet = inflate(new_unet((16, 16), text_width=16, heads=2))
    assert isinstance(unet, CameraUNet)
    with torch.no_grad():
        unet.class_embedding.linear_2.bias.fill_(1.0)
        args = torch.randn(1, 4, 16, 16), torch.tensor([5]), torch.randn(1, 24, 16)
        without, zeros = unet(*args).sample, unet(*args, class_labels=torch.zeros(1, 16)).sample
    assert not torch.allclose(without, zeros)


def test_captions_that_say_the_view_say_the_right_one_and_show_all_sides(autoencoder, views, rng):
    tokenizer = new_tokenizer()
    cache = build_cache(views, Autoencoder(autoencoder), tokenizer, 4, seed=0)
    tails = torch.tensor([tokenizer.tokens(f", {name} view") for name in DIRECTIONS])
    seen = Mixture(said=1.0).draw(cache, 400, 1, tails, tokenizer.end, rng)
    words = {tokenizer.tokens(word)[0]: word for word in tokenizer.words}
    said = []
    for ids, azimuth in zip(seen.ids.tolist(), torch.rad2deg(seen.azimuth).tolist(), strict=True):
        sentence = [words[token] for token in ids if token in words]
        away = abs((azimuth + 180) % 360 - 180)
        assert sentence[-2:] == ["front" if away < 45 else "back" if away > 135 else "side", "view"]
        said.append(sentence[-2])
    assert {said.count(name) > 50 for name in DIRECTIONS} == {True}


def test_no_caption_says_the_view_unless_asked(autoencoder, views, rng):
    tokenizer = new_tokenizer()
    cache = build_cache(views, Autoencoder(autoencoder), tokenizer, 4, seed=0)
    tails = torch.tensor([tokenizer.tokens(f", {name} view") for name in DIRECTIONS])
    seen = Mixture(said=0.0).draw(cache, 100, 1, tails, tokenizer.end, rng)
    assert not (seen.ids == tokenizer.tokens("view")[0]).any()


@pytest.mark.parametrize("pads_with_zero", [True, False])
def test_captions_of_byte_pairs_say_the_view_after_their_last_word(pads_with_zero, rng):
    tokenizer = BytePairs(clip_tokenizer(pads_with_zero))
    front, back = tokenizer(["a red dog, front view", "a red dog, back view"])
    ids = tokenizer(["a red dog"]).expand(8, 1, -1)
    cache = LatentCache(
        torch.zeros(8, 2, 4, 2, 2), torch.zeros(8, 2, 16), torch.tensor([0.0, math.pi]).expand(8, 2), ids
    )
    tails = torch.tensor([tokenizer.tokens(f", {name} view") for name in DIRECTIONS])
    seen = Mixture(said=1.0).draw(cache, 16, 1, tails, tokenizer.end, rng)
    shown = torch.where(seen.azimuth[:, None] == 0, front, back)
    assert torch.equal(seen.ids, shown) and len(seen.azimuth.unique()) == 2
