from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from jaxtyping import Float, Int
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel

from guidance.diffusion import alpha_sigma
from guidance.prior import Condition, Conditions
from guidance.tokenizer import BOS, EOS, PAD, WordTokenizer


class GaussianPrior:
    """The exact prior of images whose values are all N(mean, std^2), where the mean is what the "text" says.

    Its noise prediction is E[eps | x_t] = sigma (x_t - alpha mean) / (alpha^2 std^2 + sigma^2).
    """

    vocabulary = None
    text_fingerprint = "gaussian"

    def __init__(self, std: float, n_view: int, image_size: int = 8, dtype: torch.dtype = torch.float64) -> None:
        betas = torch.linspace(0.00085**0.5, 0.0120**0.5, 1000, dtype=torch.float64) ** 2
        self.alphas_cumprod = (1 - betas).cumprod(0).to(dtype)
        self.std = std
        self.n_view = n_view
        self.image_size = image_size
        self.latent_shape = (3, image_size, image_size)
        self.batches: list[int] = []

    def encode(self, images: Float[Tensor, "b h w 3"], rng: torch.Generator | None = None) -> Float[Tensor, "b c y x"]:
        return images.movedim(-1, 1)

    def decode(self, latents: Float[Tensor, "b c y x"]) -> Float[Tensor, "b h w 3"]:
        return latents.movedim(1, -1)

    def predict_noise(
        self, noisy: Float[Tensor, "b c y x"], t: Int[Tensor, "b"], condition: Condition
    ) -> Float[Tensor, "b c y x"]:
        self.batches.append(len(noisy))
        alpha, sigma = alpha_sigma(self.alphas_cumprod, t)
        mean = condition.text[:, :1, :1, None]
        return sigma * (noisy - alpha * mean) / (alpha**2 * self.std**2 + sigma**2)

    def encode_text(self, prompts: list[str]) -> Float[Tensor, "b l d"]:
        return torch.tensor([[[float(prompt)]] for prompt in prompts])


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def gaussian_prior() -> type[GaussianPrior]:
    return GaussianPrior


@pytest.fixture
def conditions() -> Callable[..., Conditions]:
    """(b, mean with the text, mean without it) -> what to tell a GaussianPrior."""

    def make(b: int, cond: float, uncond: float, dtype: torch.dtype = torch.float64) -> Conditions:
        text = torch.ones(b, 1, 1, dtype=dtype)
        return Conditions(Condition(cond * text, None), Condition(uncond * text, None))

    return make


@pytest.fixture
def images() -> Float[Tensor, "8 8 8 3"]:
    rng = torch.Generator().manual_seed(1)
    return torch.rand(8, 8, 8, 3, generator=rng, dtype=torch.float64).requires_grad_()


@pytest.fixture
def fresh_rng() -> Callable[[], torch.Generator]:
    """The same fresh generator at every call."""
    return lambda: torch.Generator().manual_seed(0)


@pytest.fixture(scope="session")
def prior_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """(prediction_type, camera) -> the folder of a tiny random prior: 4 x 8 x 8 latents of 16 x 16 images."""

    def save(prediction_type: str = "v_prediction", camera: bool = True) -> Path:
        folder = tmp_path_factory.mktemp("prior")
        torch.manual_seed(0)
        tiny_unet(camera).save_pretrained(folder / "unet")
        tiny_vae().save_pretrained(folder / "vae")
        DDIMScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type=prediction_type
        ).save_pretrained(folder / "scheduler")
        tokenizer = WordTokenizer(["a", "red", "dog", "hat", "3d", "asset", ","], length=8)
        tokenizer.save(folder / "tokenizer")
        text = CLIPTextConfig(
            vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=1,
            num_attention_heads=2, max_position_embeddings=8, pad_token_id=PAD, bos_token_id=BOS, eos_token_id=EOS,
        )  # fmt: skip
        CLIPTextModel(text).save_pretrained(folder / "text_encoder")
        return folder

    return functools.cache(save)


def tiny_unet(camera: bool) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=16,
        attention_head_dim=2,
        class_embed_type="projection" if camera else None,
        projection_class_embeddings_input_dim=16 if camera else None,
    )


def tiny_vae() -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(8, 8),
        layers_per_block=1,
        norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latents_mean=[0.5, -0.5, 0.0, 1.0],
        latents_std=[2.0, 1.0, 0.5, 4.0],
    )
