"""A latent diffusion model from a folder in diffusers' layout, 2D or multi-view."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeVar

import torch
from diffusers import AutoencoderKL, DDIMScheduler
from jaxtyping import Float, Int
from safetensors import SafetensorError
from torch import Tensor

from data.errors import UserError
from data.ranges import PositiveInt
from guidance.autoencoder import Autoencoder
from guidance.camera_unet import CameraUNet
from guidance.diffusion import alpha_sigma, v_to_noise
from guidance.multiview import set_view_count
from guidance.precision import choose_device, choose_dtype
from guidance.prior import Condition
from guidance.prior_folder import content_hash, find_prior, fingerprint
from guidance.vocabulary import read_vocabulary

T = TypeVar("T")
Module = TypeVar("Module", CameraUNet, AutoencoderKL)

ToNoise = Callable[
    [Float[Tensor, "b c y x"], Float[Tensor, "b c y x"], Float[Tensor, "b 1 1 1"], Float[Tensor, "b 1 1 1"]],
    Float[Tensor, "b c y x"],
]  # noisy, what the network predicts, alpha, sigma -> eps
TO_NOISE: Mapping[str, ToNoise] = {"epsilon": lambda noisy, noise, alpha, sigma: noise, "v_prediction": v_to_noise}


class DiffusionPrior:
    """Implements `StoredPrior`. Not a Module: frozen weights belong to no optimiser and to no checkpoint.

    path: a folder with unet/ vae/ scheduler/ text_encoder/ tokenizer/.
    n_view: views attended together; 1 is 2D mode, in which conditions carry no camera.
    dtype: of UNet and VAE; "auto" is the fastest that the device computes natively.
    """

    def __init__(
        self,
        path: str,
        n_view: PositiveInt = 4,
        dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto",
        device: str = "auto",
    ) -> None:
        folder = find_prior(path)
        self.n_view = n_view
        self.device = choose_device(device)
        self.vocabulary = read_vocabulary(folder)
        self.text_fingerprint = fingerprint(folder, ("text_encoder", "tokenizer"))
        self._folder = folder
        self._dtype = choose_dtype(dtype, self.device)
        scheduler = load_part(folder, "scheduler", DDIMScheduler.from_pretrained)
        self.alphas_cumprod: Tensor = scheduler.alphas_cumprod.to(self.device)
        self._to_noise = _to_noise(folder, scheduler.config.prediction_type)
        self.unet = load_part(folder, "unet", self._freeze(CameraUNet))
        if n_view > 1 and not self.unet.takes_camera:
            raise UserError(f"prior.n_view={n_view}: {path} is a 2D prior, it knows no cameras; pass prior.n_view=1")
        set_view_count(self.unet, n_view)
        self._autoencoder = Autoencoder(load_part(folder, "vae", self._freeze(AutoencoderKL)))
        size = self.unet.config.sample_size
        self.latent_shape = (self.unet.config.in_channels, size, size)
        self.image_size = size * self._autoencoder.downsampling

    def encode(self, images: Float[Tensor, "b h w 3"], rng: torch.Generator | None = None) -> Float[Tensor, "b c y x"]:
        """Gradient flows through to the images."""
        return self._autoencoder.encode(images, rng)

    def decode(self, latents: Float[Tensor, "b c y x"]) -> Float[Tensor, "b h w 3"]:
        return self._autoencoder.decode(latents)

    @torch.no_grad()
    def predict_noise(
        self, noisy: Float[Tensor, "b c y x"], t: Int[Tensor, "b"], condition: Condition
    ) -> Float[Tensor, "b c y x"]:
        assert (condition.camera is None) == (self.n_view == 1), "cameras go with a multi-view prior, and only with it"
        camera = None if condition.camera is None else condition.camera.to(self._dtype)
        return self.denoise(self.unet, noisy, t, condition.text, camera)

    def denoise(
        self,
        unet: CameraUNet,
        noisy: Float[Tensor, "b c y x"],
        t: Int[Tensor, "b"],
        text: Float[Tensor, "b l d"],
        camera: Float[Tensor, "b 16"] | None,
    ) -> Float[Tensor, "b c y x"]:
        """The noise that `unet`, this prior's or one adapted from it, finds; gradient flows to its weights."""
        assert len(noisy) % self.n_view == 0, f"{len(noisy)} images are no whole number of {self.n_view} views"
        output = unet(noisy.to(self._dtype), t, text.to(self._dtype), class_labels=camera).sample.float()
        return self._to_noise(noisy, output, *alpha_sigma(self.alphas_cumprod, t))

    def encode_text(self, prompts: list[str]) -> Float[Tensor, "b l d"]:
        return self._text_encoder(prompts)

    @cached_property
    def fingerprint(self) -> str:
        return content_hash(self._folder)

    @cached_property
    def _text_encoder(self) -> Callable[[list[str]], Tensor]:
        """Loaded at the first sentence that no cache knows: a full-size one takes seconds and a gigabyte."""
        from guidance.text_encoder import TextEncoder

        return load_part(self._folder, "text_encoder", lambda _: TextEncoder(self._folder, self.device))

    def _freeze(self, kind: type[Module]) -> Callable[[Path], Module]:
        def load(part: Path) -> Module:
            module = kind.from_pretrained(part, torch_dtype=self._dtype, local_files_only=True)
            return module.to(self.device, memory_format=torch.channels_last).eval().requires_grad_(False)

        return load


def _to_noise(folder: Path, prediction_type: str) -> ToNoise:
    if prediction_type not in TO_NOISE:
        raise UserError(f"prior.path={folder}: it predicts {prediction_type!r}; use one of {', '.join(TO_NOISE)}")
    return TO_NOISE[prediction_type]


def load_part(folder: Path, part: str, load: Callable[[Path], T]) -> T:
    try:
        return load(folder / part)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = (str(error) or repr(error)).splitlines()[0]
        raise UserError(f"prior.path={folder}: its {part}/ cannot be read ({reason}); restore the folder") from error
