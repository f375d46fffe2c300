"""A whole text-to-3D system, small enough to train in a second: real parts, and a prior that knows one thing."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from jaxtyping import Float, Int
from omegaconf import OmegaConf
from pytorch_lightning import Callback, Trainer
from torch import Tensor

import launch
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
from systems.checkpoint import SIGNALS
from systems.command.trees import Tree
from systems.losses import Opacity
from systems.schedules import Linear, Schedule, Steps
from systems.text_to_3d import TextTo3D


@pytest.fixture(autouse=True)
def signals_as_they_were() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


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


@pytest.fixture
def red_prior() -> RedPrior:
    return RedPrior()


@pytest.fixture(scope="session")
def make_system(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., TextTo3D]:
    """Builds the same system each time, as a new process would."""
    cache = tmp_path_factory.mktemp("prompts")

    def make(
        max_steps: int = 6,
        schedules: Tree[Schedule] | None = None,
        learning_rates: Tree[float] | None = None,
        levels: int = 2,
        batch_size: int = 4,
    ) -> TextTo3D:
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

    return make


@pytest.fixture(scope="session")
def make_run_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Overrides -> the folder of a run that was stopped before its first step: what `launch.py` would have saved."""
    small = ["prompt=a red dog", "~prior", "+prior={}", "renderer.occupancy.resolution=8", "geometry.hidden=8"]
    small += [
        "background=solid",
        "~background.color",
        "geometry.encoding.n_levels=2",
        "geometry.encoding.log2_table_size=8",
        "geometry.encoding.backend=torch",
    ]

    def make(*overrides: str) -> Path:
        folder = tmp_path_factory.mktemp("past")
        with initialize_config_dir(str(launch.CONF), version_base="1.3"):
            config = compose("config", [*small, *overrides])
        (folder / "config.yaml").write_text(OmegaConf.to_yaml(config, resolve=True))
        parts = {name: instantiate(config.system[name], _convert_="all") for name in ("scene", "renderer")}
        state = torch.nn.ModuleDict(parts).state_dict()
        (folder / "checkpoints").mkdir()
        torch.save({"state_dict": state, "global_step": 7}, folder / "checkpoints" / "last.ckpt")
        return folder

    return make


@pytest.fixture(scope="session")
def make_trainer_in() -> Callable[..., Trainer]:
    """(run folder, callbacks) -> what conf/trainer/default.yaml describes, on the CPU."""

    def make(folder: Path, *callbacks: Callback, max_steps: int = 6) -> Trainer:
        (folder / "command.txt").write_text("python launch.py prompt=red resume=never\n")
        return Trainer(
            default_root_dir=folder,
            max_steps=max_steps,
            max_epochs=-1,
            accelerator="cpu",
            logger=False,
            callbacks=list(callbacks),
            enable_progress_bar=False,
            enable_checkpointing=False,
            enable_model_summary=False,
        )

    return make


@pytest.fixture
def make_trainer(make_trainer_in: Callable[..., Trainer], tmp_path: Path) -> Callable[..., Trainer]:
    return partial(make_trainer_in, tmp_path)
