"""The loaded text towers against the published ones, written down a second time from their original names alone."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from guidance.weights.original_file import OriginalFile

CAT = [49406, 320, 1125, 539, 320, 2368, 49407]  # "a photo of a cat"
CAUSAL = torch.full((77, 77), float("-inf")).triu(1)


def open_clip(w: dict[str, Tensor], ids: Tensor) -> Tensor:
    """All blocks but the last, then the last norm; queries, keys and values come packed."""
    width = w["ln_final.weight"].shape[0]
    n_blocks = 1 + max(int(name.split(".")[2]) for name in w if name.startswith("transformer.resblocks."))
    norm = lambda name, x: F.layer_norm(x, (width,), w[f"{name}.weight"], w[f"{name}.bias"])
    linear = lambda name, x: F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])
    x = w["token_embedding.weight"][ids] + w["positional_embedding"]
    for i in range(n_blocks - 1):
        block = f"transformer.resblocks.{i}"
        h = norm(f"{block}.ln_1", x).transpose(0, 1)
        h, _ = F.multi_head_attention_forward(
            h, h, h, width, width // 64, w[f"{block}.attn.in_proj_weight"], w[f"{block}.attn.in_proj_bias"],
            None, None, False, 0.0, w[f"{block}.attn.out_proj.weight"], w[f"{block}.attn.out_proj.bias"],
            training=False, need_weights=False, attn_mask=CAUSAL,
        )  # fmt: skip
        x = x + h.transpose(0, 1)
        x = x + linear(f"{block}.mlp.c_proj", F.gelu(linear(f"{block}.mlp.c_fc", norm(f"{block}.ln_2", x))))
    return norm("ln_final", x)


def clip(w: dict[str, Tensor], ids: Tensor) -> Tensor:
    """All blocks, with the cheap GELU, then the last norm."""
    width = w["final_layer_norm.weight"].shape[0]
    n_blocks = 1 + max(int(name.split(".")[2]) for name in w if name.startswith("encoder.layers."))
    norm = lambda name, x: F.layer_norm(x, (width,), w[f"{name}.weight"], w[f"{name}.bias"])
    linear = lambda name, x: F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])
    x = w["embeddings.token_embedding.weight"][ids] + w["embeddings.position_embedding.weight"]
    for i in range(n_blocks):
        block = f"encoder.layers.{i}"
        h = norm(f"{block}.layer_norm1", x)
        q, k, v = (linear(f"{block}.self_attn.{part}_proj", h).unflatten(2, (-1, 64)).transpose(1, 2) for part in "qkv")
        h = ((q @ k.mT / 64**0.5 + CAUSAL).softmax(-1) @ v).transpose(1, 2).flatten(2)
        x = x + linear(f"{block}.self_attn.out_proj", h)
        h = linear(f"{block}.mlp.fc1", norm(f"{block}.layer_norm2", x))
        x = x + linear(f"{block}.mlp.fc2", h * (1.702 * h).sigmoid())
    return norm("final_layer_norm", x)


@pytest.mark.parametrize(
    ("name", "prefix", "published", "padding"),
    [
        ("sd21-4view.pt", "cond_stage_model.model.", open_clip, 0),
        ("sd15.ckpt", "cond_stage_model.transformer.text_model.", clip, 49407),
    ],
)
def test_the_loaded_tower_is_the_published_one(original, stored, name, prefix, published, padding):
    w = {key.removeprefix(prefix): tensor.float() for key, tensor in stored(name).items() if key.startswith(prefix)}
    ids = torch.tensor([CAT + [padding] * 70, [49406, 49407] + [padding] * 75])
    encode = OriginalFile(original(name), "auto").text_encoder(torch.device("cpu"))
    found = encode(["A photo  of a CAT", ""])
    torch.testing.assert_close(found, published(w, ids), rtol=1e-5, atol=1e-5)
