"""A whole text-to-3D system, small enough to train in a second: real parts, and a prior that knows one thing."""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from data.samplers import FourViews
from guidance.diffusion import alpha_sigma
from guidance.mv_sds import MultiViewSDS
from guidance.prior import Condition
from guidance.prompts import PromptProcessor
from models.backgrounds import SolidBackground
from models.geometry import BlobMagic3D, ImplicitVolume
from models.hashgrid import HashGrid
from models.materials import Albedo
from models.scene import Scene
from renderers.occupancy import OccupancyGrid
from renderers.volume import Volume
from systems.command.trees import Tree
from systems.losses import Opacity
from systems.schedules import Linear, Schedule, Steps
from systems.text_to_3d import TextTo3D

RED = torch.tensor([0.9, 0.1, 0.1])


class RedPrior(torch.nn.Module):
    """The exact denoiser of a world in which every picture is red all over; its latents are 4 x 4 thumbnails."""

    def __init__(self) -> None:
        super().__init__()
        self.alphas_cumprod = torch.linspace(0.999, 0.005, 1000)
        self.weights = torch.nn.Parameter(torch.zeros(1000))
        self.n_view, self.image_size, self.latent_shape = 4, 16, (3, 4, 4)
        self.vocabulary, self.text_fingerprint = None, "red"

    def encode(self, images: Float[Tensor, "b h w 3"], rng: torch.Generator | None = None) -> Float[Tensor, "b c y x"]:
        return torch.nn.functional.adaptive_avg_pool2d(images.permute(0, 3, 1, 2), 4)

    def decode(self, latents: Float[Tensor, "b c y x"]) -> Float[Tensor, "b h w 3"]:
        return latents.permute(0, 2, 3, 1).repeat_interleave(4, dim=1).repeat_interleave(4, dim=2)

    def predict_noise(
        self, noisy: Float[Tensor, "b c y x"], t: Int[Tensor, "b"], condition: Condition
    ) -> Float[Tensor, "b c y x"]:
        alpha, sigma = alpha_sigma(self.alphas_cumprod, t)
        return (noisy - alpha * RED[:, None, None]) / sigma

    def encode_text(self, prompts: list[str]) -> Float[Tensor, "b l d"]:
        return torch.zeros(len(prompts), 2, 3)


def red_system(
    cache: Path,
    max_steps: int = 6,
    schedules: Tree[Schedule] | None = None,
    learning_rates: Tree[float] | None = None,
    levels: int = 2,
    batch_size: int = 4,
) -> TextTo3D:
    """The same each time, as a new process would build it; cache: a folder for embeddings of prompts."""
    torch.manual_seed(0)
    encoding = HashGrid(n_levels=levels, log2_table_size=8, base_resolution=4, finest_resolution=8, backend="torch")
    return TextTo3D(
        scene=Scene(ImplicitVolume(encoding, BlobMagic3D(), hidden=8), Albedo(), SolidBackground()),
        renderer=Volume(OccupancyGrid(resolution=8, every=2), n_samples=16, backend="torch"),
        guidance=MultiViewSDS(RedPrior(), scale=2.0),
        prompt_processor=PromptProcessor("red", cache_dir=str(cache)),
        sampler=FourViews(size=8),
        losses={"opacity": Opacity(1.0)},
        schedules=schedules or {"guidance.max_t": Linear(0.98, 0.5), "sampler.size": Steps([8, 12], [0.5])},
        learning_rates=learning_rates or {"geometry.encoding": 0.05, "geometry.network": 0.01},
        batch_size=batch_size,
        max_steps=max_steps,
    )
