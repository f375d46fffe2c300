"""The loaded UNet against the published one, written down a second time from its original names alone."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.original_layout import Layout
from guidance.diffusion_prior import DiffusionPrior
from guidance.multiview import set_view_count
from guidance.prior import Condition
from guidance.weights.original_file import OriginalFile
from guidance.weights.unet import UNetSizes

NETWORKS = ["sd21-4view.pt", "sd15-4view.pt", "sd21.safetensors", "sd15.ckpt"]


class PublishedUNet:
    """w: tensors by original name. Images come with the view index fastest."""

    def __init__(self, w: dict[str, Tensor], n_view: int) -> None:
        self.w, self.n_view = w, n_view
        self.is_linear = w["middle_block.1.proj_in.weight"].ndim == 2

    def __call__(self, x: Tensor, t: Tensor, text: Tensor, camera: Tensor | None) -> Tensor:
        frequencies = torch.exp(-math.log(10000) * torch.arange(half := self.w["out.0.weight"].shape[0] // 2) / half)
        angles = t[:, None] * frequencies
        emb = self.mlp("time_embed", torch.cat([angles.cos(), angles.sin()], dim=1))
        if camera is not None:
            emb = emb + self.mlp("camera_embed", camera)
        x, skips = self.conv("input_blocks.0.0", x), []
        skips.append(x)
        for i in range(1, 12):
            x = self.block(f"input_blocks.{i}", x, emb, text)
            skips.append(x)
        x = self.resblock("middle_block.0", x, emb)
        x = self.transformer("middle_block.1", x, text)
        x = self.resblock("middle_block.2", x, emb)
        for i in range(12):
            x = self.block(f"output_blocks.{i}", torch.cat([x, skips.pop()], dim=1), emb, text)
        return self.conv("out.2", F.silu(self.group_norm("out.0", x)))

    def block(self, name: str, x: Tensor, emb: Tensor, text: Tensor) -> Tensor:
        if f"{name}.0.op.weight" in self.w:
            return self.conv(f"{name}.0.op", x, stride=2)
        x = self.resblock(f"{name}.0", x, emb)
        for i in (1, 2):
            if f"{name}.{i}.norm.weight" in self.w:
                x = self.transformer(f"{name}.{i}", x, text)
            if f"{name}.{i}.conv.weight" in self.w:
                x = self.conv(f"{name}.{i}.conv", F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return x

    def resblock(self, name: str, x: Tensor, emb: Tensor) -> Tensor:
        h = self.conv(f"{name}.in_layers.2", F.silu(self.group_norm(f"{name}.in_layers.0", x)))
        h = h + self.linear(f"{name}.emb_layers.1", F.silu(emb))[:, :, None, None]
        h = self.conv(f"{name}.out_layers.3", F.silu(self.group_norm(f"{name}.out_layers.0", h)))
        return h + (self.conv(f"{name}.skip_connection", x) if f"{name}.skip_connection.weight" in self.w else x)

    def transformer(self, name: str, x: Tensor, text: Tensor) -> Tensor:
        b, _, height, width = x.shape
        block = f"{name}.transformer_blocks.0"
        tokens = self.group_norm(f"{name}.norm", x, eps=1e-6)
        if self.is_linear:
            tokens = self.linear(f"{name}.proj_in", tokens.flatten(2).mT)
        else:
            tokens = self.conv(f"{name}.proj_in", tokens).flatten(2).mT
        together = tokens.reshape(b // self.n_view, -1, tokens.shape[-1])  # the views' tokens, one after the other
        normed = self.layer_norm(f"{block}.norm1", together)
        tokens = (together + self.attention(f"{block}.attn1", normed, normed)).reshape(tokens.shape)
        tokens = tokens + self.attention(f"{block}.attn2", self.layer_norm(f"{block}.norm2", tokens), text)
        value, gate = self.linear(f"{block}.ff.net.0.proj", self.layer_norm(f"{block}.norm3", tokens)).chunk(2, dim=-1)
        tokens = tokens + self.linear(f"{block}.ff.net.2", value * F.gelu(gate))
        to_image = lambda tokens: tokens.mT.unflatten(2, (height, width))
        if self.is_linear:
            return x + to_image(self.linear(f"{name}.proj_out", tokens))
        return x + self.conv(f"{name}.proj_out", to_image(tokens))

    def attention(self, name: str, tokens: Tensor, context: Tensor) -> Tensor:
        heads = tokens.shape[-1] // 64 if self.is_linear else 8
        q, k, v = (
            self.linear(f"{name}.to_{part}", source).unflatten(2, (heads, -1))
            for part, source in (("q", tokens), ("k", context), ("v", context))
        )
        scores = torch.einsum("bihc,bjhc->bhij", q, k) / q.shape[-1] ** 0.5
        out = torch.einsum("bhij,bjhc->bihc", scores.softmax(-1), v).flatten(2)
        return self.linear(f"{name}.to_out.0", out)

    def mlp(self, name: str, x: Tensor) -> Tensor:
        return self.linear(f"{name}.2", F.silu(self.linear(f"{name}.0", x)))

    def linear(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self.w[f"{name}.weight"], self.w.get(f"{name}.bias"))

    def conv(self, name: str, x: Tensor, stride: int = 1) -> Tensor:
        weight = self.w[f"{name}.weight"]
        return F.conv2d(x, weight, self.w[f"{name}.bias"], stride, padding=weight.shape[-1] // 2)

    def group_norm(self, name: str, x: Tensor, eps: float = 1e-5) -> Tensor:
        return F.group_norm(x, 32, self.w[f"{name}.weight"], self.w[f"{name}.bias"], eps)

    def layer_norm(self, name: str, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], self.w[f"{name}.weight"], self.w[f"{name}.bias"])


@pytest.fixture(scope="module")
def seen():
    """Noisy latents, two timesteps, text and cameras of two objects of four views."""
    rng = torch.Generator().manual_seed(1)
    noisy, text, camera = (torch.randn(8, *shape, generator=rng) for shape in ((4, 8, 8), (7, 128), (16,)))
    return noisy, torch.tensor([500] * 4 + [20] * 4), text, camera


@pytest.fixture(scope="module")
def four_views(original):
    return DiffusionPrior(str(original("sd21-4view.pt")), n_view=4, dtype="float32", device="cpu")


def published(tensors: dict[str, Tensor], n_view: int) -> PublishedUNet:
    prefix = "model.diffusion_model."
    inside = {name.removeprefix(prefix): w.float() for name, w in tensors.items() if name.startswith(prefix)}
    return PublishedUNet(inside, n_view)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_loaded_network_is_the_published_one(original, stored, seen, name):
    noisy, t, text, camera = seen
    n_view, camera = (4, camera) if "4view" in name else (1, None)
    unet = OriginalFile(original(name), "epsilon").unet(torch.float32, torch.device("cpu"))
    set_view_count(unet, n_view)
    with torch.no_grad():
        expected = published(stored(name), n_view)(noisy, t, text, camera)
        found = unet(noisy, t, text, class_labels=camera).sample
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_in_2d_mode_images_pass_as_if_alone_and_cameras_are_skipped(original, stored, seen):
    noisy, t, text, _ = seen
    alone = DiffusionPrior(str(original("sd21-4view.pt")), n_view=1, dtype="float32", device="cpu")
    network = published(stored("sd21-4view.pt"), 1)
    with torch.no_grad():
        expected = torch.cat([network(noisy[i : i + 1], t[:1], text[i : i + 1], None) for i in range(4)])
    found = alone.predict_noise(noisy[:4], t[:4], Condition(text[:4], None))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_permuting_views_with_their_cameras_permutes_the_output(four_views, seen):
    noisy, t, text, camera = seen
    order = torch.tensor([2, 0, 3, 1, 5, 4, 7, 6])
    found = four_views.predict_noise(noisy[order], t, Condition(text[order], camera[order]))
    expected = four_views.predict_noise(noisy, t, Condition(text, camera))[order]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    without = four_views.predict_noise(noisy[order], t, Condition(text[order], camera))
    assert not torch.allclose(without, expected, atol=1e-2)


def test_networks_have_the_sizes_they_are_known_for(original):
    assert DiffusionPrior(str(original("sd21-4view.pt")), device="cpu").latent_shape == (4, 32, 32)
    assert OriginalFile(original("sd15.ckpt"), "auto").unet(torch.float16, torch.device("cpu")).config.sample_size == 64
    v = OriginalFile(original("sd21.safetensors"), "v_prediction")
    assert v.unet(torch.float16, torch.device("cpu")).config.sample_size == 96


@pytest.mark.parametrize(
    ("layout", "tensors", "numbers", "heads"),
    [
        (Layout(), 690, 867_572_164, (5, 10, 20, 20)),
        (Layout(second=False, context=768), 690, 861_182_404, 8),
        (Layout(camera=False), 686, 865_910_724, (5, 10, 20, 20)),
    ],
)
def test_at_full_size_every_number_has_its_place(layout, tensors, numbers, heads):
    prefix = "model.diffusion_model."
    shapes = {name.removeprefix(prefix): shape for name, shape in layout.shapes().items() if name.startswith(prefix)}
    with torch.device("meta"):
        unet = UNetSizes.of({name: torch.empty(shape) for name, shape in shapes.items()}).build()
    assert len(shapes) == len(unet.state_dict()) == tensors
    assert sum(map(math.prod, shapes.values())) == unet.num_parameters() == numbers
    assert unet.config.attention_head_dim == heads
