"""From stored 2D weights, of either layout, to a multi-view prior that is opened as any other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch

from data.cameras import condition
from data.samplers import FourViews
from data.toy_views import ToyViews
from guidance.diffusion_prior import DiffusionPrior
from guidance.prior import Condition, Conditions
from guidance.sampling import DDIM
from systems.training import stored_networks
from systems.training.train_prior import Mixture, TrainPrior

ROOT = Path(__file__).resolve().parents[3]
MULTI_VIEW = "system.mixture.picture_share=0.0"


def sampled(prior: DiffusionPrior) -> torch.Tensor:
    cameras = FourViews(size=prior.image_size).draw(4, torch.Generator().manual_seed(0))
    tell = lambda words: Condition(prior.encode_text([words]).expand(4, -1, -1), condition(cameras))
    return DDIM(steps=2, scale=2.0)(prior, Conditions(tell("a red dog"), tell("")), torch.Generator().manual_seed(0))


def assert_learned_cameras(prior: DiffusionPrior) -> None:
    """The last layer of the camera MLP begins at 0."""
    assert prior.unet.class_embedding.linear_2.weight.abs().max() > 0


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_a_2d_folder_becomes_a_multi_view_one(prior_folder, tmp_path, prediction_type) -> None:
    source = str(prior_folder(prediction_type=prediction_type, camera=False))
    unet, text_encoder = stored_networks.unet(source), stored_networks.text_encoder(source)
    before = text_encoder.embeddings.token_embedding.weight.clone()
    system = TrainPrior(
        unet, text_encoder, stored_networks.tokenizer(source), stored_networks.scheduler(source),
        stored_networks.autoencoder(source), ToyViews(FourViews(size=16)), Mixture(picture_share=0.0),
        str(tmp_path / "prior"), str(tmp_path / "latents.pt"), n_objects=2, batch_size=4, max_steps=2, warmup_steps=1,
        frozen=["text_encoder"],
    )  # fmt: skip
    pl.Trainer(max_steps=2, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False).fit(
        system
    )
    prior = DiffusionPrior(str(tmp_path / "prior"), n_view=4, dtype="float32", device="cpu")
    assert prior.weights.schedule().prediction_type == prediction_type
    assert_learned_cameras(prior)
    assert torch.equal(text_encoder.embeddings.token_embedding.weight, before)
    assert sampled(prior).shape == (4, 16, 16, 3)


def test_a_file_of_stable_diffusion_becomes_a_multi_view_folder(original, tmp_path: Path) -> None:
    out, small = tmp_path / "prior", ["data.size=64", "system.unet.latent_size=8", "system.n_objects=2"]
    small += [
        "system.batch_size=4",
        "trainer.max_steps=2",
        "trainer.precision=32-true",
        "system.warmup_steps=1",
        "system.ema_decay=null",
    ]
    where = [f"prior.path={original('sd15.ckpt')}", f"output={tmp_path}", f"system.out={out}"]
    where += [f"system.cache_path={tmp_path / 'latents.pt'}", "device=cpu"]
    command = [sys.executable, "launch.py", "experiment=train_mvdream", "prior=sd15", *where, *small, MULTI_VIEW]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    prior = DiffusionPrior(str(out), n_view=4, dtype="float32", device="cpu")
    assert prior.image_size == 64 and prior.vocabulary is None
    assert_learned_cameras(prior)
    start = DiffusionPrior(str(original("sd15.ckpt")), n_view=1, dtype="float32", device="cpu")
    torch.testing.assert_close(prior.encode_text(["a red dog!"]), start.encode_text(["a red dog!"]), rtol=0, atol=0.01)
    assert sampled(prior).shape == (4, 64, 64, 3)
