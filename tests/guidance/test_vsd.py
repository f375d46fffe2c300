import functools
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch

from data.cameras import condition
from data.errors import UserError
from data.samplers import Orbit, turntable
from guidance import weighting
from guidance.critic import AdaptablePrior
from guidance.diffusion_prior import DiffusionPrior
from guidance.prior import Condition, Conditions
from guidance.prompts import PromptProcessor
from guidance.vsd import VSD
from models.backgrounds import SolidBackground
from models.geometry import BlobMagic3D, ImplicitVolume
from models.hashgrid import HashGrid
from models.materials import Albedo
from models.scene import Scene
from renderers.occupancy import OccupancyGrid
from renderers.volume import Volume
from systems.text_to_3d import TextTo3D


@pytest.fixture(params=[1, 4], ids=["2d", "multi-view"])
def prior(request, prior_folder):
    return DiffusionPrior(str(prior_folder(camera=request.param > 1)), n_view=request.param, dtype="float32")


@pytest.fixture
def asked(prior):
    camera = condition(turntable(4, 16))
    shown = camera if prior.n_view > 1 else None
    texts = [prior.encode_text([text] * 4) for text in ("a red dog", "")]
    return Conditions(*(Condition(text, shown) for text in texts), camera=camera)


@pytest.fixture
def pictures(rng):
    return torch.rand(4, 16, 16, 3, generator=rng).requires_grad_()


def test_both_folders_can_be_adapted(prior):
    assert isinstance(prior, AdaptablePrior)


def test_an_untrained_critic_is_the_prior_so_that_nothing_is_to_improve(prior, asked, pictures, fresh_rng):
    output = VSD(prior, scale=1.0)(pictures, asked, fresh_rng())
    output.loss.backward()
    assert output.residual < 1e-6
    assert pictures.grad.abs().max() < 1e-6


def test_the_gradient_is_the_weighted_distance_of_prior_and_critic(prior, asked, pictures, fresh_rng, monkeypatch):
    """With a critic that finds no noise at all, it is w eps_hat / b, for each latent."""
    guidance = VSD(prior, scale=3.0, weighting=weighting.uniform, sample_posterior=False, critic_weight=0.0)
    monkeypatch.setattr(guidance.critic, "forward", lambda noisy, t, text, camera: torch.zeros_like(noisy))
    latents = torch.randn(4, 4, 8, 8, generator=fresh_rng()).requires_grad_()
    monkeypatch.setattr("guidance.vsd.encode", lambda *seen: latents)
    output = guidance(pictures, asked, fresh_rng())
    output.loss.backward()
    alpha_bar = prior.alphas_cumprod[output.t][:, None, None, None]
    assert output.t.unique().numel() == 4 // prior.n_view
    replay = fresh_rng()
    torch.randint(20, 981, (4 // prior.n_view,), generator=replay)
    noise = torch.randn(latents.shape, generator=replay)
    noisy = alpha_bar.sqrt() * latents.detach() + (1 - alpha_bar).sqrt() * noise
    cond, uncond = (prior.predict_noise(noisy, output.t, one) for one in (asked.cond, asked.uncond))
    torch.testing.assert_close(latents.grad, (uncond + 3.0 * (cond - uncond)) / 4, rtol=1e-4, atol=1e-6)


def test_the_critic_learns_what_the_pictures_look_like_and_nothing_else_is_moved(prior, asked, pictures, fresh_rng):
    guidance = VSD(prior)
    frozen = {name: weight.clone() for name, weight in prior.unet.named_parameters()}
    optimiser = torch.optim.Adam(guidance.parameters(), lr=1e-2)
    latents, losses = prior.encode(pictures).detach(), []
    for _ in range(60):
        loss = guidance.teach(latents, asked, fresh_rng())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    assert all(torch.equal(weight, frozen[name]) for name, weight in prior.unet.named_parameters())
    assert all(weight.grad is None for weight in prior.unet.parameters())


def test_the_prior_does_not_change_while_a_critic_learns(prior, asked, fresh_rng):
    noisy, t = torch.randn(4, 4, 8, 8, generator=fresh_rng()), torch.full((4,), 300)
    before = prior.predict_noise(noisy, t, asked.cond)
    guidance = VSD(prior)
    with torch.no_grad():
        for weight in guidance.parameters():
            weight += 0.1
    torch.testing.assert_close(prior.predict_noise(noisy, t, asked.cond), before, rtol=0.0, atol=0.0)
    adapted = guidance.critic(noisy, t, asked.cond.text, asked.camera)
    assert not torch.allclose(adapted, before, atol=1e-3)


def test_the_critic_sees_the_camera_also_beside_a_2d_prior(prior, asked, fresh_rng):
    noisy, t = torch.randn(4, 4, 8, 8, generator=fresh_rng()), torch.full((4,), 300)
    critic = VSD(prior).critic
    with torch.no_grad():
        for name, weight in critic.named_parameters():
            weight += 0.1 * ("class_embedding" in name)
    turned = asked.camera.roll(1, dims=0)
    assert not torch.allclose(
        critic(noisy, t, asked.cond.text, asked.camera), critic(noisy, t, asked.cond.text, turned)
    )


def test_only_what_is_trained_is_saved_and_it_can_be_read_back(prior, asked, fresh_rng):
    first, second = VSD(prior, seed=0), VSD(prior, seed=1)
    assert sum(weight.numel() for weight in first.state_dict().values()) < 0.5 * prior.unet.num_parameters()
    with torch.no_grad():
        for weight in first.parameters():
            weight += 0.1
    second.load_state_dict(first.state_dict())
    noisy, t = torch.randn(4, 4, 8, 8, generator=fresh_rng()), torch.full((4,), 300)
    seen = [guidance.critic(noisy, t, asked.cond.text, asked.camera) for guidance in (first, second)]
    torch.testing.assert_close(*seen, rtol=0.0, atol=0.0)


def test_the_lesson_s_gradient_never_reaches_the_pictures(prior, asked, pictures, fresh_rng):
    gradients = []
    for weight in (0.0, 100.0):
        output = VSD(prior, critic_weight=weight)(pictures, asked, fresh_rng())
        gradients.append(torch.autograd.grad(output.loss, pictures)[0])
    torch.testing.assert_close(*gradients)


def system(folder: Path, cache: Path, learning_rates: dict[str, float]) -> TextTo3D:
    """A whole run's, with a critic; the same each time, as in a new process."""
    encoding = HashGrid(n_levels=2, log2_table_size=8, base_resolution=4, finest_resolution=8, backend="torch")
    return TextTo3D(
        scene=Scene(ImplicitVolume(encoding, BlobMagic3D(), hidden=8), Albedo(), SolidBackground()),
        renderer=Volume(OccupancyGrid(resolution=8, every=2), n_samples=16, backend="torch"),
        guidance=VSD(DiffusionPrior(str(folder), n_view=1, dtype="float32")),
        prompt_processor=PromptProcessor("a red dog", cache_dir=str(cache)),
        sampler=Orbit(size=8),
        losses={},
        schedules={},
        learning_rates=learning_rates,
        batch_size=2,
        max_steps=4,
    )


def fit(module: TextTo3D, folder: Path, max_steps: int, ckpt_path: Path | None = None) -> Path:
    trainer = pl.Trainer(
        default_root_dir=folder, max_steps=max_steps, max_epochs=-1, accelerator="cpu", logger=False,
        enable_progress_bar=False, enable_checkpointing=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(module, ckpt_path=ckpt_path, weights_only=True)
    trainer.save_checkpoint(folder / f"{max_steps}.ckpt")
    return folder / f"{max_steps}.ckpt"


def test_a_run_with_a_critic_resumes_to_the_same_bits(prior_folder, tmp_path):
    rates = {"geometry": 0.01, "guidance": 0.001}
    new = lambda: system(prior_folder(camera=False), tmp_path, rates)
    whole, first, second = new(), new(), new()
    untouched = {name: weight.clone() for name, weight in whole.guidance.named_parameters()}
    fit(whole, tmp_path, 4)
    fit(second, tmp_path, 4, fit(first, tmp_path, 2))
    for name, weight in whole.state_dict().items():
        torch.testing.assert_close(second.state_dict()[name], weight, rtol=0.0, atol=0.0)
    moved = [name for name, weight in whole.guidance.named_parameters() if not torch.equal(weight, untouched[name])]
    assert any("lora_B" in name for name in moved) and any("class_embedding" in name for name in moved)


def test_a_critic_without_a_learning_rate_is_told(prior_folder, tmp_path):
    with pytest.raises(UserError, match=r"system\.learning_rates has none for guidance\.critic"):
        fit(system(prior_folder(camera=False), tmp_path, {"geometry": 0.01}), tmp_path, 1)


def test_weights_that_come_and_go_cannot_be_adapted(prior_folder):
    with pytest.raises(UserError, match=r"prior\.offload=true"):
        VSD(DiffusionPrior(str(prior_folder(camera=False)), n_view=1, offload=True))


def test_a_compiled_network_is_adapted_and_not_the_one_that_was_compiled(prior_folder, fresh_rng, monkeypatch):
    compile = functools.partialmethod(torch.nn.Module.compile, backend="eager")
    monkeypatch.setattr(torch.nn.Module, "compile", compile)
    folder = str(prior_folder(camera=False))
    seen = torch.randn(4, 4, 8, 8, generator=fresh_rng()), torch.full((4,), 300), torch.zeros(4, 8, 16)
    found = []
    for compiled in (False, True):
        critic = VSD(DiffusionPrior(folder, n_view=1, dtype="float32", compile=compiled)).critic
        with torch.no_grad():
            for weight in critic.parameters():
                weight += 0.1
        found.append(critic(*seen, condition(turntable(4, 16))))
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-5)
