"""What a small system is trained in: a trainer, run folders, and the signals of this process."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf
from pytorch_lightning import Callback, Trainer

import launch
from systems.checkpoint import SIGNALS
from systems.command.run_folder import RunFolder
from systems.command.status import Status
from systems.command.sweep import SweptRun
from systems.text_to_3d import TextTo3D
from tests.systems.red_world import RedPrior, red_system

Leave = Callable[..., Path]
HANDLERS = {number: signal.getsignal(number) for number in SIGNALS}  # before any training, those of fixtures too


@pytest.fixture(autouse=True)
def signals_as_they_were() -> Iterator[None]:
    yield
    for number, handler in HANDLERS.items():
        signal.signal(number, handler)


@pytest.fixture
def red_prior() -> RedPrior:
    return RedPrior()


@pytest.fixture(scope="session")
def make_system(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., TextTo3D]:
    return partial(red_system, tmp_path_factory.mktemp("prompts"))


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


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    return tmp_path / "outputs" / "sweep"


@pytest.fixture
def leave(sweep: Path) -> Leave:
    """Writes what a run of the sweep leaves; a setting, prompt and seed that the sweep then has asked for, and what it
    was told."""
    asked: list[dict[str, object]] = []

    def make(
        variant: str = "",
        prompt: str = "a dog",
        seed: int = 0,
        said: Status | None = None,
        told: Sequence[str] = (),
        **files: str,
    ) -> Path:
        folder = RunFolder(str(sweep.parent), sweep.name, prompt, seed, variant).path
        folder.mkdir(parents=True)
        run = SweptRun(str(folder.relative_to(sweep)), prompt, seed, variant, tuple(told))
        asked.append(asdict(run))
        (sweep / "sweep.json").write_text(json.dumps({"runs": asked}))
        if said:
            (folder / "status.json").write_text(json.dumps(asdict(said)))
        for name, text in files.items():
            (folder / name.replace("_", ".")).write_text(text)
        return folder

    return make
