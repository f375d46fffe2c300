"""Before any test: offline, shapes and types checked at every call, torchvision importable on CPU-only torch."""

import os
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("WANDB_MODE", "offline")

import pytest
import torch
from jaxtyping import install_import_hook

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
torch.set_num_threads(1)


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)
