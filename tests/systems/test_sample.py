from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import imageio.v3 as iio
import pytest
import torch
from jaxtyping import Float, Int
from omegaconf import OmegaConf
from torch import Tensor

from data.cameras import condition
from data.errors import UserError
from data.samplers import turntable
from guidance.diffusion import alpha_sigma
from guidance.prior import Condition, Conditions
from guidance.prompts import PromptProcessor
from guidance.sampling import DDIM
from systems.command.run_folder import Interrupted, RunFolder
from systems.sample import Sample

CONFIG = OmegaConf.create({"prompt": None, "seed": 0})


class EchoPrior:
    """Its pictures are the noise that they began with, the brighter the longer the sentence."""

    def __init__(self, n_view: int = 4) -> None:
        self.alphas_cumprod = torch.linspace(0.999, 0.005, 1000)
        self.n_view, self.image_size, self.latent_shape = n_view, 4, (3, 4, 4)
        self.vocabulary, self.text_fingerprint, self.fingerprint = None, "echo", "echo"
        self.cameras: list[Tensor | None] = []

    def encode(self, images: Float[Tensor, "b h w 3"], rng: torch.Generator | None = None) -> Float[Tensor, "b c y x"]:
        return images.movedim(-1, 1)

    def decode(self, latents: Float[Tensor, "b c y x"]) -> Float[Tensor, "b h w 3"]:
        return latents.movedim(1, -1)

    def predict_noise(
        self, noisy: Float[Tensor, "b c y x"], t: Int[Tensor, "b"], condition: Condition
    ) -> Float[Tensor, "b c y x"]:
        self.cameras.append(condition.camera)
        alpha, sigma = alpha_sigma(self.alphas_cumprod, t)
        return (noisy - alpha * (condition.text[:, :1, :1, None] + 0.1 * noisy)) / sigma

    def encode_text(self, prompts: list[str]) -> Float[Tensor, "b l d"]:
        return torch.tensor([0.02 * len(prompt) for prompt in prompts])[:, None, None]


class Stopping:
    """A sampler that the user stops at its n-th call."""

    def __init__(self, at: int) -> None:
        self.at, self.calls, self.ddim = at, 0, DDIM(1, 1.0)
        self.name, self.steps, self.scale = self.ddim.name, self.ddim.steps, self.ddim.scale

    def __call__(
        self, prior: EchoPrior, conditions: Conditions, rng: torch.Generator | list[torch.Generator]
    ) -> Float[Tensor, "b h w 3"]:
        self.calls += 1
        if self.calls == self.at:
            raise KeyboardInterrupt
        return self.ddim(prior, conditions, rng)


Run = Callable[..., dict[str, bytes]]


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., Sample]:
    def make(prior: EchoPrior | None = None, sampler: DDIM | Stopping | None = None, **settings: object) -> Sample:
        processor = partial(PromptProcessor, prompt="", cache_dir=str(tmp_path / "cache"))
        return Sample(prior or EchoPrior(), sampler or DDIM(1, 1.0), processor, **settings)

    return make


def folder(tmp_path: Path, name: str = "sample") -> RunFolder:
    return RunFolder(str(tmp_path), name, None, 0, state="manifest.json")


@pytest.fixture
def run(job: Callable[..., Sample], tmp_path: Path) -> Run:
    """Everything it writes but for metrics.json and the log, by name."""

    def go(name: str = "sample", **settings: object) -> dict[str, bytes]:
        place = folder(tmp_path, name)
        job(**settings).run(place, place.open(CONFIG, ["experiment=sample"]))
        kept = [*place.path.glob("images/*"), place.path / "grid.png", place.path / "manifest.json"]
        return {str(file.relative_to(place.path)): file.read_bytes() for file in kept}

    return go


def test_every_picture_is_written_and_the_manifest_tells_what_it_is(run: Run, tmp_path: Path) -> None:
    files = run(prompts=["a dog", "a cat"], n_samples=2, elevation=20.0, azimuth_start=10.0, seed=7)
    images = json.loads(files["manifest.json"])["images"]
    assert [one["file"] for one in images[:5]] == [f"images/a-dog-{i}.png" for i in ("0-0", "0-1", "0-2", "0-3", "1-0")]
    assert {one["file"] for one in images} == files.keys() - {"grid.png", "manifest.json"} and len(images) == 16
    assert images[6] | {"file": "", "sha256": ""} == {
        "file": "", "prompt": "a dog", "sample": 1, "view": 2, "azimuth": 190.0, "elevation": 20.0, "seed": 7,
        "sampler": "DDIM(trailing, eta=0)", "steps": 1, "scale": 1.0, "prior": "echo", "sha256": "",
    }  # fmt: skip
    assert all(one["sha256"] == hashlib.sha256(files[one["file"]]).hexdigest() for one in images)
    grid = iio.imread(files["grid.png"])
    assert grid.shape == (4 * 4, 4 * 4, 3)
    assert (grid[8:12, 4:8] == iio.imread(files["images/a-cat-0-1.png"])).all()
    metrics = json.loads(folder(tmp_path).metrics.read_text())
    assert metrics["samples"] == 4 and metrics["images"] == 16 and metrics["seconds_per_sample"] > 0
    assert metrics["prior"] == "echo" and {"seconds", "version", "device", "peak_memory_mb"} <= metrics.keys()


def test_all_prompts_are_read_together(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    prior, read = EchoPrior(), []
    encode = prior.encode_text
    monkeypatch.setattr(prior, "encode_text", lambda texts: read.append(texts) or encode(texts))
    run(prior=prior, prompts=["a dog", "a cat", "a pig"], n_samples=1)
    assert read == [["a dog, 3d asset", "", "a cat, 3d asset", "a pig, 3d asset"]]


@pytest.mark.parametrize("batch", [1, 3])
def test_a_sample_is_the_same_whatever_else_is_drawn(run: Run, batch: int) -> None:
    many = run(prompts=["a dog", "a cat of gold"], n_samples=4, batch=batch)
    alone = run("alone", prompt="a cat of gold", n_samples=2)
    images = [name for name in alone if name.startswith("images/")]
    assert len(images) == 8 and all(many[name] == alone[name] for name in images)


def test_samples_views_prompts_and_seeds_differ(run: Run) -> None:
    first, second = (run(f"seed{seed}", prompts=["a dog", "a horse"], n_samples=2, seed=seed) for seed in (0, 1))
    images = [file for files in (first, second) for name, file in files.items() if name.startswith("images/")]
    assert len(set(images)) == len(images) == 32


@pytest.mark.parametrize(("batch", "kept"), [(1, 2), (2, 4)])
def test_what_was_interrupted_continues_to_the_same_bytes(run: Run, tmp_path: Path, batch: int, kept: int) -> None:
    settings = {"prompts": ["a dog", "a cat"], "n_samples": 3, "batch": batch}
    whole = run("whole", **settings)
    message = rf"{kept} of 6 samples are kept. Continue with:\npython launch.py experiment=sample$"
    with pytest.raises(Interrupted, match=message):
        run(sampler=Stopping(at=3), **settings)
    if batch == 2:  # nor does it matter where in a batch
        (folder(tmp_path).path / "images" / "a-dog-2-1.png").unlink()
    missing = 6 - kept + 2 * (batch == 2)
    sampler = Stopping(at=100)
    assert run(sampler=sampler, **settings) == whole
    assert sampler.calls == missing // batch


def test_continuing_notices_other_weights_other_prompts_and_touched_pictures(run: Run, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        run(prompts=["a dog"], sampler=Stopping(at=3))
    another = EchoPrior()
    another.fingerprint = "another"
    for changed in ({"prompts": ["a dog"], "prior": another}, {"prompts": ["a cat"]}):
        with pytest.raises(UserError, match=r"other prompts or weights.*resume=never"):
            run(**changed)
    picture = folder(tmp_path).path / "images" / "a-dog-0-0.png"
    picture.write_bytes(picture.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"a-dog-0-0.png is not what was drawn there"):
        run(prompts=["a dog"])
    folder(tmp_path).checkpoint.write_text("{}")
    with pytest.raises(UserError, match=r"manifest.json is damaged.*resume=never"):
        run(prompts=["a dog"])


def test_samples_are_continued_where_they_lie(job: Callable[..., Sample], run: Run, tmp_path: Path) -> None:
    run("elsewhere", prompt="a dog")
    with pytest.raises(UserError, match="continued where they lie"):
        job(prompt="a dog").run(folder(tmp_path), folder(tmp_path, "elsewhere").checkpoint)


def test_prior_is_told_the_cameras_asked_for(run: Run) -> None:
    prior = EchoPrior(n_view=6)
    run(prior=prior, prompt="a dog", n_samples=1, elevation=30.0, azimuth_start=-90.0, span=180.0)
    expected = condition(turntable(6, 4, 30.0, start=-90.0, span=180.0))
    torch.testing.assert_close(prior.cameras[0], torch.cat([expected, expected]))
    azimuth = torch.atan2(expected[:, 7], expected[:, 3]).rad2deg()
    torch.testing.assert_close(azimuth, torch.tensor([-90.0, -60.0, -30.0, 0.0, 30.0, 60.0]), rtol=0.0, atol=1e-3)


def test_other_view_counts_are_the_priors_to_choose(job: Callable[..., Sample]) -> None:
    with pytest.raises(UserError, match=r"job.n_view=6: the prior attends to 4; say prior.n_view=6"):
        job(prompt="a dog", n_view=6)


@pytest.mark.parametrize(("n_view", "pictures"), [(None, 2), (3, 6)])
def test_of_a_2d_prior_each_picture_stands_alone(run: Run, n_view: int | None, pictures: int) -> None:
    prior = EchoPrior(n_view=1)
    files = run(prior=prior, prompt="a dog", n_samples=2, n_view=n_view)
    assert len(files) == pictures + 2 and prior.cameras == [None, None]
