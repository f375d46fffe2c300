"""Checkpoints in the layout of the original code, with random weights: names and shapes as published, at any width.

Written from the published networks and not from guidance/weights, which tests compare with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

Shapes = Iterator[tuple[str, tuple[int, ...]]]


@dataclass(frozen=True)
class Layout:
    """Stable Diffusion 2.1 as published in MVDream, unless told otherwise."""

    camera: bool = True
    second: bool = True  # Stable Diffusion 2, else 1
    width: int = 320  # of the UNet's first level
    context: int = 1024  # of the text
    vae_width: int = 128
    blocks: int = 24  # of the text tower
    schedule: bool = True

    def shapes(self) -> dict[str, tuple[int, ...]]:
        networks = [("model.diffusion_model.", unet(self)), ("first_stage_model.", vae(self.vae_width))]
        if self.second:
            networks.append(("cond_stage_model.model.", open_clip(self.context, self.blocks)))
        else:
            networks.append(("cond_stage_model.transformer.text_model.", clip(self.context, self.blocks)))
        return {prefix + name: shape for prefix, tensors in networks for name, shape in tensors}

    def tensors(self, seed: int = 0, dtype: torch.dtype = torch.float32) -> Iterator[tuple[str, Tensor]]:
        """One after the other, random at a scale at which activations neither die nor explode."""
        rng = torch.Generator().manual_seed(seed)
        yield from schedule() if self.schedule else ()
        for name, shape in self.shapes().items():
            noise = torch.randn(shape, generator=rng)
            if len(shape) == 1:
                is_gain = name.endswith("weight")
                yield name, (noise.mul_(0.1) + is_gain).to(dtype)
            else:
                fan_in = 100 if "embedding" in name else noise[0].numel()
                yield name, noise.div_(fan_in**0.5).to(dtype)
        if not self.second:
            yield "cond_stage_model.transformer.text_model.embeddings.position_ids", torch.arange(77)[None]
        else:
            yield "cond_stage_model.model.logit_scale", torch.tensor(4.6052)


def linear(name: str, out: int, into: int, bias: bool = True) -> Shapes:
    yield f"{name}.weight", (out, into)
    if bias:
        yield f"{name}.bias", (out,)


def conv(name: str, out: int, into: int, size: int = 3) -> Shapes:
    yield f"{name}.weight", (out, into, size, size)
    yield f"{name}.bias", (out,)


def norm(name: str, width: int) -> Shapes:
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)


def resblock(name: str, out: int, into: int, time: int) -> Shapes:
    yield from norm(f"{name}.in_layers.0", into)
    yield from conv(f"{name}.in_layers.2", out, into)
    yield from linear(f"{name}.emb_layers.1", out, time)
    yield from norm(f"{name}.out_layers.0", out)
    yield from conv(f"{name}.out_layers.3", out, out)
    if out != into:
        yield from conv(f"{name}.skip_connection", out, into, 1)


def transformer(name: str, width: int, context: int, is_linear: bool) -> Shapes:
    project = linear if is_linear else lambda name, out, into: conv(name, out, into, 1)
    block = f"{name}.transformer_blocks.0"
    yield from norm(f"{name}.norm", width)
    yield from project(f"{name}.proj_in", width, width)
    for attention, source in (("attn1", width), ("attn2", context)):
        yield from linear(f"{block}.{attention}.to_q", width, width, bias=False)
        yield from linear(f"{block}.{attention}.to_k", width, source, bias=False)
        yield from linear(f"{block}.{attention}.to_v", width, source, bias=False)
        yield from linear(f"{block}.{attention}.to_out.0", width, width)
    yield from linear(f"{block}.ff.net.0.proj", 8 * width, width)
    yield from linear(f"{block}.ff.net.2", width, 4 * width)
    for i in (1, 2, 3):
        yield from norm(f"{block}.norm{i}", width)
    yield from project(f"{name}.proj_out", width, width)


def unet(layout: Layout) -> Shapes:
    """channel_mult 1, 2, 4, 4; two ResBlocks a level; transformers at all levels but the last."""
    width, time = layout.width, 4 * layout.width
    embeddings = [("time_embed", width)] + [("camera_embed", 16)] * layout.camera
    for name, source in embeddings:
        yield from linear(f"{name}.0", time, source)
        yield from linear(f"{name}.2", time, time)
    attend = lambda name, channels: transformer(name, channels, layout.context, layout.second)
    yield from conv("input_blocks.0.0", width, 4)
    skips, channels, block = [width], width, 1
    for level, factor in enumerate((1, 2, 4, 4)):
        for _ in range(2):
            yield from resblock(f"input_blocks.{block}.0", factor * width, channels, time)
            channels = factor * width
            if level < 3:
                yield from attend(f"input_blocks.{block}.1", channels)
            skips.append(channels)
            block += 1
        if level < 3:
            yield from conv(f"input_blocks.{block}.0.op", channels, channels)
            skips.append(channels)
            block += 1
    yield from resblock("middle_block.0", channels, channels, time)
    yield from attend("middle_block.1", channels)
    yield from resblock("middle_block.2", channels, channels, time)
    for block in range(12):
        level = 3 - block // 3
        yield from resblock(f"output_blocks.{block}.0", (1, 2, 4, 4)[level] * width, channels + skips.pop(), time)
        channels = (1, 2, 4, 4)[level] * width
        if level < 3:
            yield from attend(f"output_blocks.{block}.1", channels)
        if level > 0 and block % 3 == 2:
            yield from conv(f"output_blocks.{block}.{2 if level < 3 else 1}.conv", channels, channels)
    yield from norm("out.0", width)
    yield from conv("out.2", 4, width)


def vae_resblock(name: str, out: int, into: int) -> Shapes:
    yield from norm(f"{name}.norm1", into)
    yield from conv(f"{name}.conv1", out, into)
    yield from norm(f"{name}.norm2", out)
    yield from conv(f"{name}.conv2", out, out)
    if out != into:
        yield from conv(f"{name}.nin_shortcut", out, into, 1)


def vae_middle(name: str, width: int) -> Shapes:
    yield from vae_resblock(f"{name}.block_1", width, width)
    yield from norm(f"{name}.attn_1.norm", width)
    for part in ("q", "k", "v", "proj_out"):
        yield from conv(f"{name}.attn_1.{part}", width, width, 1)
    yield from vae_resblock(f"{name}.block_2", width, width)


def vae(width: int) -> Shapes:
    """ch_mult 1, 2, 4, 4; two ResBlocks a level down, three up; `decoder.up.3` comes first."""
    widths = (width, 2 * width, 4 * width, 4 * width)
    yield from conv("encoder.conv_in", width, 3)
    channels = width
    for level, out in enumerate(widths):
        for layer in range(2):
            yield from vae_resblock(f"encoder.down.{level}.block.{layer}", out, channels)
            channels = out
        if level < 3:
            yield from conv(f"encoder.down.{level}.downsample.conv", out, out)
    yield from vae_middle("encoder.mid", channels)
    yield from norm("encoder.norm_out", channels)
    yield from conv("encoder.conv_out", 8, channels)
    yield from conv("decoder.conv_in", channels, 4)
    yield from vae_middle("decoder.mid", channels)
    for level in (3, 2, 1, 0):
        for layer in range(3):
            yield from vae_resblock(f"decoder.up.{level}.block.{layer}", widths[level], channels)
            channels = widths[level]
        if level > 0:
            yield from conv(f"decoder.up.{level}.upsample.conv", channels, channels)
    yield from norm("decoder.norm_out", width)
    yield from conv("decoder.conv_out", 3, width)
    yield from conv("quant_conv", 8, 8, 1)
    yield from conv("post_quant_conv", 4, 4, 1)


def open_clip(width: int, blocks: int) -> Shapes:
    yield "positional_embedding", (77, width)
    yield "text_projection", (width, width)
    yield "token_embedding.weight", (49408, width)
    for i in range(blocks):
        block = f"transformer.resblocks.{i}"
        yield from norm(f"{block}.ln_1", width)
        yield f"{block}.attn.in_proj_weight", (3 * width, width)
        yield f"{block}.attn.in_proj_bias", (3 * width,)
        yield from linear(f"{block}.attn.out_proj", width, width)
        yield from norm(f"{block}.ln_2", width)
        yield from linear(f"{block}.mlp.c_fc", 4 * width, width)
        yield from linear(f"{block}.mlp.c_proj", width, 4 * width)
    yield from norm("ln_final", width)


def clip(width: int, blocks: int) -> Shapes:
    yield "embeddings.token_embedding.weight", (49408, width)
    yield "embeddings.position_embedding.weight", (77, width)
    for i in range(blocks):
        block = f"encoder.layers.{i}"
        for part in ("k_proj", "v_proj", "q_proj", "out_proj"):
            yield from linear(f"{block}.self_attn.{part}", width, width)
        yield from norm(f"{block}.layer_norm1", width)
        yield from linear(f"{block}.mlp.fc1", 4 * width, width)
        yield from linear(f"{block}.mlp.fc2", width, 4 * width)
        yield from norm(f"{block}.layer_norm2", width)
    yield from norm("final_layer_norm", width)


def schedule() -> Iterator[tuple[str, Tensor]]:
    """The twelve buffers of the original's `register_schedule`, for betas that are linear in their square roots."""
    betas = torch.linspace(0.00085**0.5, 0.0120**0.5, 1000, dtype=torch.float64) ** 2
    alphas = 1 - betas
    bar = alphas.cumprod(0)
    before = torch.cat([torch.ones(1, dtype=torch.float64), bar[:-1]])
    variance = betas * (1 - before) / (1 - bar)
    buffers = {
        "betas": betas,
        "alphas_cumprod": bar,
        "alphas_cumprod_prev": before,
        "sqrt_alphas_cumprod": bar.sqrt(),
        "sqrt_one_minus_alphas_cumprod": (1 - bar).sqrt(),
        "log_one_minus_alphas_cumprod": (1 - bar).log(),
        "sqrt_recip_alphas_cumprod": (1 / bar).sqrt(),
        "sqrt_recipm1_alphas_cumprod": (1 / bar - 1).sqrt(),
        "posterior_variance": variance,
        "posterior_log_variance_clipped": variance.clamp(min=1e-20).log(),
        "posterior_mean_coef1": betas * before.sqrt() / (1 - bar),
        "posterior_mean_coef2": (1 - before) * alphas.sqrt() / (1 - bar),
    }
    return ((name, buffer.float()) for name, buffer in buffers.items())
