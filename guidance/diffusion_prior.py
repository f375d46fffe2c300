"""A latent diffusion model, 2D or multi-view, from weights in a folder, in a file, or on the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from accelerate import cpu_offload
from jaxtyping import Float, Int
from torch import Tensor

from data.errors import UserError
from data.ranges import PositiveInt
from guidance.autoencoder import Autoencoder
from guidance.camera_unet import CameraUNet
from guidance.diffusion import alpha_sigma, v_to_noise
from guidance.memory import give_back
from guidance.multiview import set_view_count
from guidance.precision import choose_device, choose_dtype
from guidance.prior import Condition
from guidance.weights.opening import open_weights

ToNoise = Callable[
    [Float[Tensor, "b c y x"], Float[Tensor, "b c y x"], Float[Tensor, "b 1 1 1"], Float[Tensor, "b 1 1 1"]],
    Float[Tensor, "b c y x"],
]  # noisy, what the network predicts, alpha, sigma -> eps
TO_NOISE: Mapping[str, ToNoise] = {"epsilon": lambda noisy, noise, alpha, sigma: noise, "v_prediction": v_to_noise}


class DiffusionPrior:
    """Implements `StoredPrior`. Not a Module: frozen weights belong to no optimiser and to no checkpoint.

    path: a folder in diffusers' layout (unet/ vae/ scheduler/ text_encoder/ tokenizer/), a file in the layout of Stable
        Diffusion 1 or 2 or of MVDream, or a repository "owner/name" of the Hugging Face hub.
    n_view: views attended together; 1 is 2D mode, in which conditions carry no camera.
    dtype: of UNet and VAE; "auto" is the fastest that the device computes natively.
    prediction_type: what the UNet predicts; "auto": what a folder says; "epsilon" for MVDream and Stable Diffusion 1.
    image_size: pixels; None: those that the UNet has been trained on.

    The rest trades time for memory, or start for speed; none changes what comes out.
    attention_slice: queries that attend at a time. vae_chunk: images that pass the VAE at once. None: all.
    checkpointing: the VAE computes its activations again for the gradient, and does not keep them.
    offload: weights stay in the memory of the CPU, and visit the device layer by layer.
    compile: the UNet, at its first call; that takes a minute.
    """

    def __init__(
        self,
        path: str,
        n_view: PositiveInt = 4,
        dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto",
        device: str = "auto",
        prediction_type: Literal["auto", "epsilon", "v_prediction"] = "auto",
        image_size: PositiveInt | None = None,
        attention_slice: PositiveInt | None = None,
        vae_chunk: PositiveInt | None = None,
        checkpointing: bool = False,
        offload: bool = False,
        compile: bool = False,
    ) -> None:
        if offload and compile:
            raise UserError("prior.compile=true: weights that come and go cannot be compiled; pass prior.offload=false")
        self.path, self.device = path, choose_device(device)
        self._dtype = choose_dtype(dtype, self.device)
        self.weights = open_weights(path, prediction_type)
        self.vocabulary, self.text_fingerprint = self.weights.vocabulary, self.weights.text_fingerprint
        schedule = self.weights.schedule()
        self.alphas_cumprod: Tensor = schedule.alphas_cumprod.to(self.device)
        self.prediction_type = schedule.prediction_type
        self._to_noise = _to_noise(path, schedule.prediction_type)
        store = torch.device("cpu") if offload else self.device
        self.unet = self.weights.unet(self._dtype, store)
        if n_view > 1 and not self.unet.takes_camera:
            raise UserError(f"prior.n_view={n_view}: {path} is a 2D prior, it knows no cameras; pass prior.n_view=1")
        self._attention_slice = attention_slice
        self.attend(n_view)
        self._autoencoder = Autoencoder(self.weights.vae(self._dtype, store), vae_chunk, checkpointing)
        size = _latent_size(image_size, self.unet, self._autoencoder.downsampling)
        self.latent_shape = (self.unet.config.in_channels, size, size)
        self.image_size = size * self._autoencoder.downsampling
        if offload:
            cpu_offload(self.unet, self.device)
            cpu_offload(self._autoencoder.vae, self.device)
            self._autoencoder.to(self.device)
        if compile:
            self.unet.compile()

    def attend(self, n_view: int) -> None:
        """To so many views together from now on; 1 is the 2D mode, also of a multi-view prior."""
        self.n_view = n_view
        set_view_count(self.unet, n_view, self._attention_slice)

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
        """The text encoder is loaded for this and freed again: a full-size one takes more than a gigabyte."""
        text = self.weights.text_encoder(self.device)(prompts)
        give_back()
        return text

    @property
    def fingerprint(self) -> str:
        return self.weights.fingerprint


def _to_noise(path: str, prediction_type: str) -> ToNoise:
    if prediction_type not in TO_NOISE:
        raise UserError(f"prior.path={path}: it predicts {prediction_type!r}; use one of {', '.join(TO_NOISE)}")
    return TO_NOISE[prediction_type]


def _latent_size(image_size: int | None, unet: CameraUNet, downsampling: int) -> int:
    if image_size is None:
        return unet.config.sample_size
    pixels = downsampling * 2 ** (len(unet.config.block_out_channels) - 1)
    if image_size % pixels:
        raise UserError(
            f"prior.image_size={image_size} must be a multiple of {pixels}, the pixels of its coarsest cell"
        )
    return image_size // downsampling
