"""What a prior does to need less memory, or to be faster, never changes its numbers."""

import gc
import subprocess
import sys
import weakref
from pathlib import Path

import pytest
import torch

from data.errors import UserError
from guidance.diffusion_prior import DiffusionPrior
from guidance.multiview import MultiViewAttention
from guidance.prior import Condition
from guidance.weights.diffusers_folder import DiffusersFolder

ROOT = Path(__file__).resolve().parents[2]
KNOBS = [{"attention_slice": 5}, {"vae_chunk": 3}, {"checkpointing": True}, {"offload": True}]
ALL = {"attention_slice": 7, "vae_chunk": 1, "checkpointing": True, "offload": True}


@pytest.fixture(scope="module")
def everything(prior_folder):
    """Knobs -> a prediction, latents with their gradient, and a picture."""

    def compute(**knobs):
        rng = torch.Generator().manual_seed(0)
        prior = DiffusionPrior(str(prior_folder()), n_view=4, dtype="float32", device="cpu", **knobs)
        noisy, text, camera = (torch.randn(8, *shape, generator=rng) for shape in ((4, 8, 8), (8, 16), (16,)))
        images = torch.rand(8, 16, 16, 3, generator=rng).requires_grad_()
        latents = prior.encode(images, rng)
        latents.square().sum().backward()
        noise = prior.predict_noise(noisy, torch.full((8,), 500), Condition(text, camera))
        return noise, latents.detach(), images.grad, prior.decode(latents.detach()).detach()

    return compute


@pytest.fixture(scope="module")
def plain(everything):
    return everything()


@pytest.mark.parametrize("knobs", [*KNOBS, ALL], ids=str)
def test_less_memory_same_numbers(everything, plain, knobs):
    for found, expected in zip(everything(**knobs), plain, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


COMPILED = """
import functools, sys, torch
from systems.torchvision_shim import define_missing_ops
define_missing_ops()
torch.nn.Module.compile = functools.partialmethod(torch.nn.Module.compile, backend="eager")
from guidance.diffusion_prior import DiffusionPrior
from guidance.prior import Condition
seen = torch.full((4,), 500), Condition(torch.ones(4, 8, 16), torch.ones(4, 16))
noisy = torch.randn(4, 4, 8, 8)
whole, traced = (DiffusionPrior(sys.argv[1], dtype="float32", device="cpu", compile=c) for c in (False, True))
torch.testing.assert_close(traced.predict_noise(noisy, *seen), whole.predict_noise(noisy, *seen))
assert torch._dynamo.utils.counters["frames"]["ok"] > 0
"""


def test_the_graph_that_a_compiler_gets_predicts_the_same(prior_folder):
    """In a process without the type checks of these tests, which no compiler sees; and without the compiler itself,
    which takes half a minute."""
    subprocess.run([sys.executable, "-c", COMPILED, str(prior_folder())], cwd=ROOT, check=True, timeout=120)


def test_queries_attend_in_slices(prior_folder, monkeypatch):
    from guidance import multiview

    sizes, attend = set(), multiview.scaled_dot_product_attention

    def watched(query, key, value, attn_mask):
        sizes.add(query.shape[2])
        return attend(query, key, value, attn_mask=attn_mask)

    monkeypatch.setattr(multiview, "scaled_dot_product_attention", watched)
    prior = DiffusionPrior(str(prior_folder()), n_view=4, dtype="float32", attention_slice=5)
    prior.predict_noise(
        torch.randn(4, 4, 8, 8), torch.full((4,), 9), Condition(torch.randn(4, 8, 16), torch.randn(4, 16))
    )
    assert max(sizes) == 5


def test_images_pass_the_autoencoder_in_chunks_and_twice_when_checkpointed(prior_folder):
    prior = DiffusionPrior(str(prior_folder()), n_view=4, dtype="float32", vae_chunk=3, checkpointing=True)
    sizes = []
    block = prior._autoencoder.vae.encoder.mid_block.resnets[0].conv1
    block.register_forward_hook(lambda module, inputs, output: sizes.append(len(output)))
    latents = prior.encode(torch.rand(8, 16, 16, 3, requires_grad=True))
    assert sizes == [3, 3, 2]
    latents.sum().backward()
    assert len(sizes) == 6


def test_offloaded_weights_are_not_on_the_device_between_calls(prior_folder):
    prior = DiffusionPrior(str(prior_folder()), n_view=4, offload=True)
    assert {p.device.type for p in (*prior.unet.parameters(), *prior._autoencoder.vae.parameters())} == {"meta"}


def test_diffusers_own_slicing_cannot_part_the_views(prior_folder):
    unet = DiffusionPrior(str(prior_folder()), n_view=4).unet
    with pytest.raises(NotImplementedError, match="set_view_count"):
        unet.set_attention_slice("auto")
    assert all(isinstance(processor, MultiViewAttention) for processor in unet.attn_processors.values())


def test_what_comes_and_goes_cannot_be_compiled(prior_folder):
    with pytest.raises(UserError, match=r"prior\.compile=true: .*pass prior\.offload=false"):
        DiffusionPrior(str(prior_folder()), offload=True, compile=True)


def test_the_text_encoder_is_gone_after_use(prior_folder, monkeypatch):
    made = []
    load = DiffusersFolder.text_encoder

    def watched(weights, device):
        encoder = load(weights, device)
        made.append(weakref.ref(encoder))
        return encoder

    monkeypatch.setattr(DiffusersFolder, "text_encoder", watched)
    DiffusionPrior(str(prior_folder()), n_view=4).encode_text(["a red dog"])
    gc.collect()
    assert [encoder() for encoder in made] == [None]
