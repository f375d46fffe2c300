"""However a batch is shared, and whatever of the networks is trained: the step is the same."""

from __future__ import annotations

import pytest
import pytorch_lightning as pl
import torch
from omegaconf import OmegaConf

from data.errors import UserError
from data.held_out_views import HeldOutViews
from data.samplers import FourViews
from data.toy_views import ToyViews
from data.toybox.split import is_held_out
from guidance.multiview import inflate
from systems.command.processes import is_first, starts_others
from systems.training.denoiser import Denoiser, Noised, averaged, denoising_loss, freeze
from systems.training.mini_networks import new_autoencoder, new_scheduler, new_text_encoder, new_tokenizer, new_unet
from systems.training.train_prior import Mixture, TrainPrior


@pytest.fixture(scope="module")
def cache_path(tmp_path_factory):
    return tmp_path_factory.mktemp("cache") / "latents.pt"


@pytest.fixture
def make(cache_path, tmp_path):
    """(options of a TrainPrior) -> a tiny multi-view one, about half of whose steps are on pictures."""
    vae = new_autoencoder((8, 8, 8))
    vae.register_to_config(latents_mean=[0.0] * 4, latents_std=[1.0] * 4)

    def build(**options):
        unet = inflate(new_unet((16, 16), text_width=16, heads=2))
        return TrainPrior(
            unet, new_text_encoder(16, 1, 2), new_tokenizer(), new_scheduler(), vae, ToyViews(FourViews(size=64)),
            options.pop("mixture", Mixture(picture_share=0.5)), str(tmp_path / "prior"), str(cache_path),
            n_objects=16, warmup_steps=1, max_steps=4, **{"batch_size": 8, **options},
        )  # fmt: skip

    return build


def fit(system, pieces=1):
    trainer = pl.Trainer(
        max_steps=4, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, accumulate_grad_batches=pieces, use_distributed_sampler=False,
    )  # fmt: skip
    trainer.fit(system)
    return trainer


def trained(system, pieces=1):
    """Its losses, its weights, and how they have moved."""
    before = flat(system)
    trainer = fit(system, pieces)
    return {n: float(x) for n, x in trainer.callback_metrics.items()}, flat(system), flat(system) - before


def flat(system):
    return torch.cat([parameter.detach().flatten() for parameter in system.denoiser.parameters()])


def assert_same_training(one, other):
    """But for rounding, which Adam enlarges where a gradient is small."""
    assert one[0] == pytest.approx(other[0], rel=1e-5)
    assert (one[1] - other[1]).norm() < 1e-2 * one[2].norm()


def test_two_pieces_are_one_batch(make):
    assert_same_training(trained(make()), trained(make(), pieces=2))


def test_computing_activations_again_changes_nothing(make):
    assert_same_training(trained(make()), trained(make(checkpointing=True)))


def test_a_batch_that_cannot_be_shared_is_refused(make):
    with pytest.raises(UserError, match=r"system\.batch_size=8: 4 processes and pieces share it, .* multiple of 16"):
        fit(make(), pieces=4)


def test_views_that_are_fewer_than_attend_to_each_other_are_refused(make):
    with pytest.raises(UserError, match=r"system.mixture.n_view=2: system.views shows 4 of an object; say the same"):
        make(mixture=Mixture(n_view=2))
    assert make(mixture=Mixture(n_view=2, picture_share=1.0)).n_view == 1  # all are single


def test_a_share_keeps_the_views_of_an_object_together():
    latents = torch.arange(8.0)[:, None, None, None].expand(8, 4, 2, 2)
    whole = Noised(latents, latents, torch.arange(8), torch.arange(8)[:, None], torch.ones(8, 16), n_view=4)
    assert whole.share(1, 2).t.tolist() == [4, 5, 6, 7] and whole.share(1, 2).n_view == 4


def test_a_step_on_pictures_leaves_the_camera_embedding_as_it_is(make):
    """Decay and moments included, though all processes exchange gradients of it."""
    system = make(mixture=Mixture(picture_share=1.0))
    before = [parameter.clone() for parameter in system.denoiser.camera_parameters()]
    fit(system)
    assert all(torch.equal(*pair) for pair in zip(before, system.denoiser.camera_parameters(), strict=True))


def test_what_is_frozen_is_neither_trained_nor_copied(make):
    system = make(frozen=["text_encoder"])
    text = [parameter.clone() for parameter in system.denoiser.text_encoder.parameters()]
    unet = system.denoiser.unet.conv_in.weight.clone()
    fit(system)
    assert all(torch.equal(*pair) for pair in zip(text, system.denoiser.text_encoder.parameters(), strict=True))
    assert not torch.equal(unet, system.denoiser.unet.conv_in.weight)
    assert not torch.equal(unet, system.average.unet.conv_in.weight)
    shared = zip(system.average.text_encoder.parameters(), system.denoiser.text_encoder.parameters(), strict=True)
    assert all(mean is now for mean, now in shared)


def test_without_an_average_the_weights_themselves_are_saved(make):
    system = make(ema_decay=None)
    assert system.average is system.denoiser
    fit(system)


@pytest.mark.parametrize(
    ("frozen", "message"),
    [(["txt"], "system.frozen=txt: no parameter's name begins so"), (["unet", "text_encoder"], "nothing is left")],
)
def test_wrong_freezing_is_refused(frozen, message):
    with pytest.raises(UserError, match=message):
        freeze(Denoiser(new_unet((16, 16), text_width=16, heads=2), new_text_encoder(16, 1, 2)), frozen)


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_the_loss_is_that_of_what_the_network_predicts(prediction_type, rng):
    """A network that says 0 is wrong by the square of the target: eps, or alpha eps - sigma x_0."""
    from guidance.weights.prior_weights import NoiseSchedule

    denoiser = averaged(Denoiser(new_unet((16, 16), text_width=16, heads=2), new_text_encoder(16, 1, 2)))
    for parameter in denoiser.unet.conv_out.parameters():
        parameter.zero_()
    latents, noise = torch.randn(2, 4, 16, 16, generator=rng), torch.randn(2, 4, 16, 16, generator=rng)
    schedule = NoiseSchedule(torch.tensor([0.64]), prediction_type)
    batch = Noised(latents, noise, torch.zeros(2, dtype=torch.long), new_tokenizer()(["a dog", "a cat"]), None)
    target = noise if prediction_type == "epsilon" else 0.8 * noise - 0.6 * latents
    torch.testing.assert_close(denoising_loss(denoiser, batch, schedule), (target**2).mean())


def test_few_objects_are_seen_from_all_around_and_pictures_are_of_all(make):
    system = make(mixture=Mixture(picture_share=0.5, n_multi_view=2))
    fit(system)
    drawn = [system.draw(step) for step in range(40)]
    around = [batch for batch in drawn if batch.camera is not None]
    pictures = [batch for batch in drawn if batch.camera is None]
    assert objects_in(around, system.cache) == {0, 1} and objects_in(pictures, system.cache) == set(range(16))


def objects_in(batches, cache):
    """The numbers of the objects that they show."""
    latents = torch.cat([batch.latents for batch in batches])
    same = torch.stack([(latents == view).flatten(1).all(dim=1).any() for view in cache.latents.flatten(0, 1)])
    return set((same.nonzero()[:, 0] // cache.latents.shape[1]).tolist())


def test_held_out_views_are_of_held_out_toys(rng):
    views = HeldOutViews(ToyViews(FourViews(size=8), n_kinds=32))
    batch = views.draw(6, rng)
    assert all(is_held_out(toy) for toy in batch.toys) and batch.images.shape == (24, 8, 8, 3)


@pytest.mark.parametrize(
    ("devices", "told", "first", "starts"),
    [
        (1, {"SLURM_PROCID": "3"}, True, False),  # a job of a cluster that makes four runs
        (2, {}, True, True),
        (2, {"NODE_RANK": "0", "LOCAL_RANK": "1", "WORLD_SIZE": "2"}, False, False),
        (2, {"NODE_RANK": "1", "LOCAL_RANK": "0", "WORLD_SIZE": "4"}, False, False),
        (2, {"RANK": "0", "LOCAL_RANK": "0"}, True, False),
        (2, {"RANK": "2", "LOCAL_RANK": "0"}, False, False),
        (2, {"SLURM_PROCID": "1"}, False, False),
    ],
)
def test_the_first_of_several_processes_knows_it(monkeypatch, devices, told, first, starts):
    for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    config = OmegaConf.create({"trainer": {"devices": devices, "num_nodes": 1}})
    assert (is_first(config), starts_others(config)) == (first, starts)
