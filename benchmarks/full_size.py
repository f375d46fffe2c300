"""Whether a checkpoint of MVDream's true size fits and how it loads: python -m benchmarks.full_size [--folder /tmp]

Writes one with random weights (5.2 GB in float32), loads it as a prior in a fresh process, predicts once, converts it
to a folder and back in others, and compares all bytes. Needs 16 GB of disk, and removes what it wrote.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from benchmarks.original_layout import Layout
from systems.torchvision_shim import define_missing_ops

define_missing_ops()

from guidance.diffusion_prior import DiffusionPrior  # noqa: E402
from guidance.prior import Condition  # noqa: E402
from guidance.weights.conversion import read_original, write_folder, write_original  # noqa: E402
from guidance.weights.original_file import OriginalCheckpoint  # noqa: E402
from guidance.weights.tensor_file import open_tensors  # noqa: E402

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
PREFIXES = {"UNet": "model.diffusion_model.", "VAE": "first_stage_model.", "text": "cond_stage_model.", "all": ""}


def memory(kind: str) -> float:
    """GB of this process: VmHWM, the peak with mapped files; RssAnon, what is its own now."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{kind}:")) * 1024 / 1e9


@contextmanager
def measured(what: str) -> Iterator[None]:
    """Prints seconds, and the peak of own memory, looked at every 10 ms."""
    done, peak = threading.Event(), [memory("RssAnon")]

    def watch() -> None:
        while not done.wait(0.01):
            peak[0] = max(peak[0], memory("RssAnon"))

    watcher, before, start = threading.Thread(target=watch), memory("RssAnon"), time.perf_counter()
    watcher.start()
    yield
    seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    grown, now, whole = peak[0] - before, memory("RssAnon") - before, memory("VmHWM")
    print(
        f"{what}: {seconds:.1f} s, own memory +{grown:.2f} GB at its peak and +{now:.2f} GB after; VmHWM {whole:.2f} GB"
    )


def build(file: Path, dtype: torch.dtype) -> None:
    tensors = dict(Layout().tensors(dtype=dtype))
    for part, prefix in PREFIXES.items():
        sizes = [tensor.numel() for name, tensor in tensors.items() if name.startswith(prefix)]
        print(f"{part}: {len(sizes)} tensors, {sum(sizes):,} numbers")
    with measured(f"write {file.name}"):
        torch.save(tensors, file)
    print(f"{file.stat().st_size / 1e9:.2f} GB on disk")


def load(file: Path, dtype: torch.dtype) -> None:
    name = str(dtype).removeprefix("torch.")
    with measured(f"load as {name}"):
        prior = DiffusionPrior(str(file), n_view=4, dtype=name, device="cpu")
    with measured("encode two sentences"):
        text = prior.encode_text(["a photo of a cat, 3d asset", ""])
    rng = torch.Generator().manual_seed(0)
    noisy, camera = (torch.randn(4, *shape, generator=rng) for shape in ((4, 32, 32), (16,)))
    with measured("predict the noise of 4 views of 32 x 32 latents"):
        noise = prior.predict_noise(noisy, torch.full((4,), 500), Condition(text[:1].expand(4, -1, -1), camera))
    print(f"prediction: {tuple(noise.shape)}, mean {noise.mean():.4f}, std {noise.std():.4f}")


def convert(file: Path, dtype: torch.dtype) -> None:
    with measured("convert to a folder"):
        write_folder(OriginalCheckpoint(file), file.parent / "folder", "auto", None)


def restore(file: Path, dtype: torch.dtype) -> None:
    folder = file.parent / "folder"
    with measured("restore the file"):
        write_original(file.parent / "back.pt", read_original(folder, folder))


def compare(file: Path, dtype: torch.dtype) -> None:
    source, back = open_tensors(file).tensors, open_tensors(file.parent / "back.pt").tensors
    assert source.keys() == back.keys(), source.keys() ^ back.keys()
    bits = lambda tensor: tensor.contiguous().flatten().view(torch.uint8)
    with measured("compare all bytes"):
        differ = [
            name for name, tensor in source.items()
            if tensor.dtype != back[name].dtype or tensor.shape != back[name].shape
            or not torch.equal(bits(tensor), bits(back[name]))
        ]  # fmt: skip
    print(f"{len(source) - len(differ)} of {len(source)} tensors came back with the same bytes")
    assert not differ, differ


STAGES = {stage.__name__: stage for stage in (build, load, convert, restore, compare)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--stored", choices=DTYPES, default="float32")
    parser.add_argument("--dtype", choices=DTYPES, default="bfloat16", help="in which the prior computes")
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.stage:
        STAGES[args.stage](args.folder / "original.pt", DTYPES[args.stored if args.stage == "build" else args.dtype])
        return 0
    with tempfile.TemporaryDirectory(prefix="full_size_", dir=args.folder) as folder:
        for stage in STAGES:
            more = ["--folder", folder, "--stored", args.stored, "--dtype", args.dtype, "--stage", stage]
            code = subprocess.run([sys.executable, "-m", "benchmarks.full_size", *more]).returncode
            if code:
                return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
