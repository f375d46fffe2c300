"""Training as a user runs it: real processes, tiny networks, few steps."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from systems.training.mini_networks import new_autoencoder, new_text_encoder, new_tokenizer, new_unet, save_half

ROOT = Path(__file__).resolve().parents[1]
TIMES = {"seconds", "images_per_second"}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    save_half(new_unet((16, 16), text_width=16, heads=2), folder / "unet")
    save_half(new_text_encoder(16, 1, 2), folder / "text_encoder")
    new_tokenizer().save(folder / "tokenizer")
    vae = new_autoencoder((8, 8, 8))
    vae.register_to_config(latents_mean=[0.0] * 4, latents_std=[1.0] * 4)
    save_half(vae, folder / "vae")
    return folder


@pytest.fixture(scope="module")
def command(tiny: Path) -> Callable[..., list[str]]:
    """(run folder, overrides) -> a training of twelve steps, half of them on pictures."""
    networks = [f"system.{part}.path={tiny}" for part in ("unet", "text_encoder", "autoencoder")]
    data = [f"system.cache_path={tiny / 'latents.pt'}", "system.n_objects=16", "system.mixture.picture_share=0.5"]
    small = [
        "trainer.max_steps=12",
        "trainer.precision=32-true",
        "system.batch_size=8",
        "checkpoint.every_seconds=0.01",
    ]
    small += ["held_out_loss.n_levels=1", "held_out_loss.n_objects=2", "held_out_loss.every=5"]

    def make(output: Path, *overrides: str) -> list[str]:
        where = [f"output={output}", f"system.out={output / 'prior'}"]
        return [sys.executable, "launch.py", "experiment=table1", *networks, *data, *small, *where, *overrides]

    return make


def run(command: list[str]) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("table1/proposed-0\n") == 1, "the folder is said once, by whatever number of processes"


def rows(output: Path) -> list[dict[str, float]]:
    """What metrics.csv says of each step, but for the time it took."""
    with (output / "table1" / "proposed-0" / "metrics.csv").open() as table:
        return [{n: float(v) for n, v in row.items() if v and n not in TIMES} for row in csv.DictReader(table)]


def weights(output: Path) -> dict[str, torch.Tensor]:
    checkpoint = torch.load(output / "table1" / "proposed-0" / "checkpoints" / "last.ckpt", weights_only=True)
    return checkpoint["state_dict"]


@pytest.fixture(scope="module")
def undisturbed(command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("undisturbed")
    run(command(output))
    return output


def test_a_training_says_how_it_went(undisturbed) -> None:
    found = rows(undisturbed)
    assert [row["step"] for row in found] == list(range(12))
    assert {"loss/multi_view", "loss/picture"} <= {name for row in found for name in row}
    assert [row["step"] for row in found if "held_out/loss" in row and "seen/loss" in row] == [0, 4, 9, 11]
    metrics = json.loads((undisturbed / "table1" / "proposed-0" / "metrics.json").read_text())
    assert metrics["steps"] == 12 and metrics["processes"] == 1 and metrics["images_per_second"] > 0
    assert metrics["held_out/loss"] == found[-1]["held_out/loss"]


def test_two_processes_train_as_one(command, tiny, undisturbed, tmp_path: Path) -> None:
    """But for rounding, which Adam enlarges where a gradient is small."""
    run(command(tmp_path, "trainer.devices=2", "trainer.strategy=ddp"))
    for one, two in zip(rows(undisturbed), rows(tmp_path), strict=True):
        assert one == pytest.approx(two, rel=1e-5)
    start = load_file(tiny / "unet" / "diffusion_pytorch_model.safetensors")
    alone, shared = weights(undisturbed), weights(tmp_path)
    flat = lambda tensors: torch.cat([tensors[name].float().flatten() for name in start])
    for whose in ("denoiser", "average"):
        ends = [flat({name: found[f"{whose}.unet.{name}"] for name in start}) for found in (alone, shared)]
        assert (ends[0] - ends[1]).norm() < 1e-2 * (ends[0] - flat(start)).norm()


def begin(command: list[str], output: Path) -> subprocess.Popen[bytes]:
    """Returns in the middle of the training."""
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    table, deadline = output / "table1" / "proposed-0" / "metrics.csv", time.monotonic() + 200
    while not (table.exists() and len(table.read_text().splitlines()) > 4) and time.monotonic() < deadline:
        time.sleep(0.01)
    return process


def test_a_killed_training_resumes_to_the_same_losses(command, undisturbed, tmp_path: Path) -> None:
    process = begin(command(tmp_path), tmp_path)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert 3 < len(rows(tmp_path)) < 12, "it was killed before or after its training"
    run(command(tmp_path))
    assert rows(tmp_path) == rows(undisturbed)
    whole, resumed = weights(undisturbed), weights(tmp_path)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_two_processes_stop_when_the_first_is_asked_to_and_one_goes_on(command, undisturbed, tmp_path: Path) -> None:
    process = begin(command(tmp_path, "trainer.devices=2", "trainer.strategy=ddp"), tmp_path)
    process.terminate()
    assert process.wait(timeout=200) == 130
    assert 3 < len(rows(tmp_path)) < 12, "it was stopped before or after its training"
    run(command(tmp_path))
    for one, other in zip(rows(undisturbed), rows(tmp_path), strict=True):
        assert one == pytest.approx(other, rel=1e-5)
