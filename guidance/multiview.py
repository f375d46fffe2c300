"""3D attention: the tokens of all views of an object attend to each other (MVDream, BasicTransformerBlock3D)."""

from __future__ import annotations

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from guidance.camera_unet import CameraUNet


class MultiViewAttention:
    """An attention processor for diffusers' transformer blocks. Self-attention folds the views, (b v) l c -> b (v l) c;
    cross-attention with the text stays per view. No weights of its own: a 2D network becomes multi-view by setting it.

    slice_size: queries that attend at a time, which bounds the memory of their scores; None: all.
    """

    def __init__(self, n_view: int, slice_size: int | None = None) -> None:
        self.n_view, self.slice_size = n_view, slice_size

    def __call__(
        self,
        attn: Attention,
        hidden_states: Float[Tensor, "bv l c"],
        encoder_hidden_states: Float[Tensor, "bv m d"] | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Float[Tensor, "bv l c"]:
        shape = hidden_states.shape
        if encoder_hidden_states is None:
            hidden_states = hidden_states.reshape(shape[0] // self.n_view, self.n_view * shape[1], shape[2])
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = (
            linear(tokens).unflatten(-1, (attn.heads, -1)).transpose(1, 2)
            for linear, tokens in ((attn.to_q, hidden_states), (attn.to_k, context), (attn.to_v, context))
        )
        pieces = [query] if self.slice_size is None else query.split(self.slice_size, dim=2)
        out = torch.cat(
            [scaled_dot_product_attention(piece, key, value, attn_mask=attention_mask) for piece in pieces], dim=2
        )
        out = attn.to_out[0](out.transpose(1, 2).flatten(2))
        return attn.to_out[1](out).reshape(shape)


def set_view_count(unet: UNet2DConditionModel, n_view: int, slice_size: int | None = None) -> None:
    """Attends over groups of `n_view` images; 1 is the 2D mode."""
    unet.set_attn_processor(MultiViewAttention(n_view, slice_size))


def inflate(unet: UNet2DConditionModel, camera_dim: int = 16) -> CameraUNet:
    """A 2D UNet as the multi-view one it is the start of: same weights, and a camera MLP whose last layer is zero."""
    config = {key: value for key, value in unet.config.items() if not key.startswith("_")}  # diffusers' own notes
    config |= {"class_embed_type": "projection", "projection_class_embeddings_input_dim": camera_dim}
    inflated = CameraUNet.from_config(config)
    missing, unexpected = inflated.load_state_dict(unet.state_dict(), strict=False)
    assert not unexpected and all(name.startswith("class_embedding.") for name in missing), (missing, unexpected)
    torch.nn.init.zeros_(inflated.class_embedding.linear_2.weight)
    torch.nn.init.zeros_(inflated.class_embedding.linear_2.bias)
    return inflated
