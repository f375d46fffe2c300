"""Original checkpoints, whole in their names, narrow in their shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from benchmarks.original_layout import Layout

NARROW = {"context": 128, "vae_width": 32, "blocks": 3}
LAYOUTS = {
    "sd21-4view.pt": Layout(width=64, **NARROW),
    "sd15-4view.pt": Layout(second=False, width=32, **NARROW),
    "sd15.ckpt": Layout(second=False, camera=False, width=32, **NARROW),
    "sd21.safetensors": Layout(camera=False, width=64, **NARROW),
}


def write(name: str, file: Path) -> Path:
    """Two in float32 and without a wrapper, as MVDream's; the others in float16 and as Stable Diffusion's."""
    layout = LAYOUTS[name]
    tensors = dict(layout.tensors(dtype=torch.float32 if layout.camera else torch.float16))
    if file.suffix == ".safetensors":
        save_file(tensors, file)
    else:
        torch.save({"state_dict": tensors, "global_step": 1} if file.suffix == ".ckpt" else tensors, file)
    return file


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Path]]:
    """The name of a layout -> a file in it."""
    folder = tmp_path_factory.mktemp("originals")

    def make(name: str) -> Path:
        file = folder / name
        return file if file.exists() else write(name, file)

    yield make
    for file in folder.iterdir():
        file.unlink()


@pytest.fixture(scope="session")
def stored(original: Callable[[str], Path]) -> Callable[[str], dict[str, Tensor]]:
    """The name of a layout -> what is in the file."""
    from guidance.weights.tensor_file import open_tensors

    return lambda name: open_tensors(original(name)).tensors


@pytest.fixture(scope="session", autouse=True)
def no_notes_at_home() -> Iterator[None]:
    """Checksums are computed anew: these tests leave nothing in the user's cache."""
    from guidance.weights import checksum

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checksum, "REMEMBERED_FROM", 2**40)
        yield
