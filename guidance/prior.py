"""The image prior, and what it is conditioned on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Condition:
    text: Float[Tensor, "b l d"]
    camera: Float[Tensor, "b 16"] | None  # None: 2D mode, the camera embedding is skipped


@dataclass(frozen=True)
class Avoided:
    """A Perp-Neg direction: what the images shall not become."""

    condition: Condition
    weight: Float[Tensor, "b"]  # <= 0; 0: of no concern


@dataclass(frozen=True)
class Conditions:
    """All that a guidance tells the prior about b images."""

    cond: Condition  # with the prompt
    uncond: Condition  # with the negative prompt; the camera stays, so that guidance acts on the text
    avoided: tuple[Avoided, ...] = ()
    camera: Float[Tensor, "b 16"] | None = None  # of every image, also for a prior that is told none


def join(parts: Sequence[Condition]) -> Condition:
    return Condition(torch.cat([part.text for part in parts]), _join_cameras([part.camera for part in parts]))


def join_all(parts: Sequence[Conditions]) -> Conditions:
    """What is said about several groups of images, as one batch."""
    avoided = tuple(
        Avoided(join([one.condition for one in each]), torch.cat([one.weight for one in each]))
        for each in zip(*(part.avoided for part in parts), strict=True)
    )
    cond, uncond = join([part.cond for part in parts]), join([part.uncond for part in parts])
    return Conditions(cond, uncond, avoided, _join_cameras([part.camera for part in parts]))


def _join_cameras(cameras: Sequence[Float[Tensor, "_ 16"] | None]) -> Float[Tensor, "b 16"] | None:
    given = [camera for camera in cameras if camera is not None]
    assert len(given) in (0, len(cameras)), "either all conditions carry a camera, or none"
    return torch.cat(given) if given else None


@runtime_checkable
class Prior(Protocol):
    """A frozen latent diffusion model. Works in its own precision inside, takes and gives float32."""

    alphas_cumprod: Float[Tensor, "t"]
    n_view: int  # images attended together, 4 or (2D) 1; b is a multiple of it, view fastest
    image_size: int  # pixels

    def encode(self, images: Float[Tensor, "b h w 3"], rng: torch.Generator | None = None) -> Float[Tensor, "b c y x"]:
        """Latents of images in [0, 1]: a sample of the encoder's posterior with `rng`, its mean without."""
        ...

    def decode(self, latents: Float[Tensor, "b c y x"]) -> Float[Tensor, "b h w 3"]: ...

    def predict_noise(
        self, noisy: Float[Tensor, "b c y x"], t: Int[Tensor, "b"], condition: Condition
    ) -> Float[Tensor, "b c y x"]:
        """Predicted eps, whatever the network itself predicts (eps or v)."""
        ...


@runtime_checkable
class TextPrior(Prior, Protocol):
    """A prior that also reads sentences and says how large its latents are: all that sampling from it takes."""

    latent_shape: tuple[int, int, int]  # c y x
    vocabulary: tuple[str, ...] | None  # the only words it knows; None: it reads anything
    text_fingerprint: str  # changes when its text encoder does

    def encode_text(self, prompts: list[str]) -> Float[Tensor, "b l d"]: ...


@runtime_checkable
class StoredPrior(TextPrior, Protocol):
    """A prior that can say which one it is."""

    @property
    def fingerprint(self) -> str: ...  # of its weights' bytes, the same on every machine
