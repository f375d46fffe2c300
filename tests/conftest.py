"""Before any test: offline, shapes and types checked at every call, torchvision importable on CPU-only torch."""

import json
import os
import signal
import sys
import zipfile
from pathlib import Path

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a script; children would not hear it
    signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("WANDB_MODE", "offline")

import pytest
import torch
from hydra import compose, initialize_config_dir
from jaxtyping import install_import_hook
from omegaconf import OmegaConf

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("data", "models", "renderers", "guidance", "metrics", "systems")


def checked_modules() -> list[str]:
    """All but the numba kernels: numba compiles functions, not functions wrapped by a type checker."""
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py") if file.name != "__init__.py"]
    return [
        ".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files if "from numba" not in file.read_text()
    ]


install_import_hook(checked_modules(), "beartype.beartype")

from systems.torchvision_shim import define_missing_ops

define_missing_ops()
import launch

torch.set_num_threads(1)


# Of real processes, minutes each: begun first, so that no process that runs tests is left with one of them alone
SLOW = ("test_slurm", "test_faults", "test_joblib", "test_fuzz", "test_wandb_file", "test_text_to_3d_processes")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.stem not in SLOW)


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


class Run:
    """Calls launch.main in this process, up to where an error ends it."""

    def __init__(
        self, overrides: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.overrides, self.monkeypatch, self.capsys = overrides, monkeypatch, capsys

    def error(self, *overrides: str) -> str:
        self.monkeypatch.setattr(sys, "argv", ["launch.py", *self.overrides, *overrides])
        assert launch.main() == 2
        captured = self.capsys.readouterr()
        assert captured.out == "" and captured.err.count("\n") == 1
        return captured.err

    def accepts(self, *overrides: str) -> None:
        launched: list[bool] = []
        self.monkeypatch.setattr(launch, "launch", lambda: launched.append(True))
        self.monkeypatch.setattr(sys, "argv", ["launch.py", *self.overrides, *overrides])
        launch.main()
        assert launched, self.capsys.readouterr().err


@pytest.fixture
def prior(tmp_path: Path) -> str:
    """What can be seen of a prior without loading it."""
    for part in ("unet", "vae", "scheduler", "text_encoder", "tokenizer"):
        (tmp_path / "prior" / part).mkdir(parents=True)
    known = ["a", "red", "dog", "wearing", "blue", "hat", "green", "car", "yellow", "duck", "scarf", "an"]
    known += ["ivory", "teapot", "robot", "3d", "asset", "colorful", "background", "side", "front", "back", "view"]
    known += ["elephant", "crown"]
    words = json.dumps({"words": known})
    (tmp_path / "prior" / "tokenizer" / "vocabulary.json").write_text(words)
    return f"prior.path={tmp_path / 'prior'}"


@pytest.fixture
def run(prior: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return Run([prior, f"output={tmp_path / 'outputs'}"], monkeypatch, capsys)


@pytest.fixture
def past(run: Run, tmp_path: Path) -> Path:
    """What can be seen of a finished run without torch."""
    (tmp_path / "past" / "checkpoints").mkdir(parents=True)
    with initialize_config_dir(str(launch.CONF), version_base="1.3"):
        config = compose("config", [*run.overrides, "prompt=a red dog"])
    OmegaConf.save(config, tmp_path / "past" / "config.yaml", resolve=True)
    with zipfile.ZipFile(tmp_path / "past" / "checkpoints" / "last.ckpt", "w") as archive:
        archive.writestr("data.pkl", b"")
    return tmp_path / "past"


@pytest.fixture
def mesh(tmp_path: Path) -> Path:
    """What can be seen of a mesh without reading it."""
    (tmp_path / "mine.glb").touch()
    return tmp_path / "mine.glb"


@pytest.fixture
def pictures(tmp_path: Path) -> str:
    """What can be seen of them without reading them."""
    (tmp_path / "pictures").mkdir()
    for name in ("a.png", "b.JPG", "c.webp", "d.png", "notes.txt"):
        (tmp_path / "pictures" / name).touch()
    return f"subject.pictures={tmp_path / 'pictures'}"
