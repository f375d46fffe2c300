"""The loaded autoencoder against the published one, written down a second time from its original names alone."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from guidance.diffusion_prior import DiffusionPrior


class PublishedVAE:
    """w: tensors by original name."""

    def __init__(self, w: dict[str, Tensor]) -> None:
        self.w = w

    def encode(self, x: Tensor) -> Tensor:
        """The mean of the posterior."""
        x = self.conv("encoder.conv_in", x)
        for level in range(4):
            for layer in range(2):
                x = self.resblock(f"encoder.down.{level}.block.{layer}", x)
            if level < 3:
                x = self.conv(f"encoder.down.{level}.downsample.conv", F.pad(x, (0, 1, 0, 1)), stride=2, padding=0)
        x = self.middle("encoder", x)
        return self.conv("quant_conv", x)[:, :4]

    def decode(self, z: Tensor) -> Tensor:
        x = self.conv("decoder.conv_in", self.conv("post_quant_conv", z))
        x = self.middle("decoder", x, last=False)
        for level in (3, 2, 1, 0):
            for layer in range(3):
                x = self.resblock(f"decoder.up.{level}.block.{layer}", x)
            if level > 0:
                x = self.conv(f"decoder.up.{level}.upsample.conv", F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return self.last("decoder", x)

    def middle(self, half: str, x: Tensor, last: bool = True) -> Tensor:
        x = self.resblock(f"{half}.mid.block_1", x)
        h = self.norm(f"{half}.mid.attn_1.norm", x)
        q, k, v = (self.conv(f"{half}.mid.attn_1.{part}", h).flatten(2) for part in "qkv")
        weights = (q.mT @ k / q.shape[1] ** 0.5).softmax(-1)
        x = x + self.conv(f"{half}.mid.attn_1.proj_out", (v @ weights.mT).unflatten(2, x.shape[2:]))
        x = self.resblock(f"{half}.mid.block_2", x)
        return self.last(half, x) if last else x

    def last(self, half: str, x: Tensor) -> Tensor:
        return self.conv(f"{half}.conv_out", F.silu(self.norm(f"{half}.norm_out", x)))

    def resblock(self, name: str, x: Tensor) -> Tensor:
        h = self.conv(f"{name}.conv1", F.silu(self.norm(f"{name}.norm1", x)))
        h = self.conv(f"{name}.conv2", F.silu(self.norm(f"{name}.norm2", h)))
        return h + (self.conv(f"{name}.nin_shortcut", x) if f"{name}.nin_shortcut.weight" in self.w else x)

    def conv(self, name: str, x: Tensor, stride: int = 1, padding: int | None = None) -> Tensor:
        weight = self.w[f"{name}.weight"]
        around = weight.shape[-1] // 2 if padding is None else padding
        return F.conv2d(x, weight, self.w[f"{name}.bias"], stride, around)

    def norm(self, name: str, x: Tensor) -> Tensor:
        return F.group_norm(x, 32, self.w[f"{name}.weight"], self.w[f"{name}.bias"], eps=1e-6)


@pytest.fixture(scope="module")
def prior(original):
    return DiffusionPrior(str(original("sd15.ckpt")), n_view=1, dtype="float32", device="cpu")


@pytest.fixture(scope="module")
def published(stored):
    prefix = "first_stage_model."
    tensors = stored("sd15.ckpt").items()
    return PublishedVAE({name.removeprefix(prefix): w.float() for name, w in tensors if name.startswith(prefix)})


def test_encoding_is_the_published_one(prior, published):
    images = torch.rand(2, 64, 48, 3, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = 0.18215 * published.encode(2 * images.movedim(-1, 1) - 1)
    found = prior.encode(images)
    assert found.shape == (2, 4, 8, 6)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_decoding_is_the_published_one(prior, published):
    latents = 0.2 * torch.randn(2, 4, 8, 6, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = (published.decode(latents / 0.18215) / 2 + 0.5).clamp(0, 1).movedim(1, -1)
    found = prior.decode(latents)
    assert found.std() > 0.1
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
