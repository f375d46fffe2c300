"""What the renders look like now: the prior's own network, adapted to them while they are optimised."""

from __future__ import annotations

import copy
from typing import Protocol, runtime_checkable

import torch
from diffusers.models.embeddings import TimestepEmbedding
from jaxtyping import Float, Int
from peft import LoraConfig
from torch import Tensor, nn

from data.errors import UserError
from data.ranges import NonNegativeInt, PositiveInt
from guidance.camera_unet import CameraUNet
from guidance.prior import TextPrior

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")


@runtime_checkable
class AdaptablePrior(TextPrior, Protocol):
    unet: CameraUNet

    def denoise(
        self,
        unet: CameraUNet,
        noisy: Float[Tensor, "b c y x"],
        t: Int[Tensor, "b"],
        text: Float[Tensor, "b l d"],
        camera: Float[Tensor, "b 16"] | None,
    ) -> Float[Tensor, "b c y x"]: ...


class Critic(nn.Module):
    """eps_phi(x_t, t, y, c): low-rank adapters (Hu et al. 2021, LoRA) on every attention of the prior's network, and a
    camera embedding added to that of the time (ProlificDreamer). Untrained, it is the prior.

    Its frozen weights are the prior's own tensors; only what is trained is a parameter, and stands in checkpoints.
    """

    def __init__(self, prior: AdaptablePrior, rank: PositiveInt = 4, seed: NonNegativeInt = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.random.default_generator.manual_seed(seed)
            unet = _adapted(prior.unet, rank)
        trained = {name: weight for name, weight in unet.named_parameters() if weight.requires_grad}
        self.trained = nn.ParameterDict({name.replace(".", "_"): weight for name, weight in trained.items()})
        self._prior, self._unet = prior, [unet]  # in a list: no submodule

    def forward(
        self,
        noisy: Float[Tensor, "b c y x"],
        t: Int[Tensor, "b"],
        text: Float[Tensor, "b l d"],
        camera: Float[Tensor, "b 16"],
    ) -> Float[Tensor, "b c y x"]:
        return self._prior.denoise(self._unet[0], noisy, t, text, camera)


def _adapted(unet: CameraUNet, rank: int) -> CameraUNet:
    """A network that shares the frozen weights of `unet` and has small ones of its own, in float32."""
    if unet.device.type == "meta":
        raise UserError("prior.offload=true: weights that come and go cannot be adapted; pass prior.offload=false")
    shared: dict[int, object] = {id(tensor): tensor for tensor in (*unet.parameters(), *unet.buffers())}
    twin = copy.deepcopy(unet, shared)
    twin.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=list(ATTENTION), init_lora_weights="gaussian"))
    width = unet.time_embedding.linear_2.out_features
    camera = CameraEmbedding(unet.class_embedding, width).to(unet.device)
    twin.class_embedding = camera
    for weight in twin.parameters():
        if weight.requires_grad:
            weight.data = weight.data.float()
    return twin


class CameraEmbedding(nn.Module):
    """The prior's own embedding of the camera, if it has one, plus a trained one that starts at zero."""

    def __init__(self, known: nn.Module | None, width: int) -> None:
        super().__init__()
        self.known = known
        self.learned = TimestepEmbedding(16, width)
        nn.init.zeros_(self.learned.linear_2.weight)
        nn.init.zeros_(self.learned.linear_2.bias)

    def forward(self, camera: Float[Tensor, "b 16"]) -> Float[Tensor, "b d"]:
        learned = self.learned(camera)
        if self.known is None:
            return learned
        told = camera.any(dim=1, keepdim=True)  # a camera of zeros stands for none, which skips the prior's embedding
        return learned + told * self.known(camera.to(next(self.known.parameters()).dtype))
