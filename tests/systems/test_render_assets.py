from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import imageio.v3 as iio
import pytest
import torch

import systems.training_data.asset_shards
from data.errors import FailedError, UserError
from data.samplers import FourViews
from data.shard_views import ShardViews
from data.shards import Shards
from guidance.autoencoder import Autoencoder
from renderers.studio import Lighting, Studio
from systems.command.run_folder import Interrupted, RunFolder
from systems.training.mini_networks import new_autoencoder, new_tokenizer
from systems.training_data.latent_cache import build_cache, cached
from systems.training_data.render_assets import RenderAssets
from tests.conftest import Run
from tests.renderers.models3d import colored_box, grey_ball


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Seven objects, one of them held out, one of them damaged, and a row without a file."""
    folder = tmp_path / "models"
    folder.mkdir()
    rows = []
    for n in range(5):
        colored_box(folder / f"box_{n}.glb", (1.0, 1.0, 1.0 + n))
        rows.append({"file": f"box_{n}.glb", "captions": [f"box {n}"], "licence": "CC0-1.0"})
    grey_ball(folder / "ball.glb", 90)
    rows.insert(1, {"file": "ball.glb", "captions": ["a ball"], "split": "heldout"})
    (folder / "bad.glb").write_text("not a model")
    rows.insert(2, {"file": "bad.glb", "captions": ["bad"]})
    rows.append({"file": "gone.glb", "captions": ["gone"]})
    (folder / "captions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


@dataclass
class Rendering:
    folder: RunFolder
    models: Path

    def __call__(self, checkpoint: Path | None = None, workers: int = 0, seed: int = 0, size: int = 16) -> None:
        self.folder.path.mkdir(parents=True, exist_ok=True)
        (self.folder.path / "command.txt").write_text("python launch.py experiment=render_assets\n")
        studio = Studio(FourViews(size=size), Lighting(), supersampling=2)
        RenderAssets(str(self.models), studio, per_shard=3, workers=workers, seed=seed).run(self.folder, checkpoint)

    def shards(self) -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in sorted(self.folder.path.glob("shards/*"))}


@pytest.fixture
def rendering(models: Path, tmp_path: Path) -> Callable[[str], Rendering]:
    return lambda name: Rendering(RunFolder(str(tmp_path / name), "x", None, 0, state="manifest.json"), models)


def test_objects_become_shards_by_split(rendering: Callable[[str], Rendering]) -> None:
    one = rendering("a")
    one()
    names = ["heldout-00000.tar", "train-00000.failed.jsonl", "train-00000.tar", "train-00001.tar"]
    assert list(one.shards()) == [*names, "train-00002.failed.jsonl", "train-00002.tar"]
    train, held_out = Shards(str(one.folder.path)), Shards(str(one.folder.path), "heldout")
    assert [train[i].captions for i in range(len(train))] == [[f"box {n}"] for n in range(5)]
    assert [held_out[i].source for i in range(len(held_out))] == ["ball.glb"]
    assert train[0].licence == "CC0-1.0" and train[0].images.shape == (4, 16, 16, 4)
    assert iio.imread(one.folder.path / "sheet.png").shape == (2 * 16, 4 * 4 * 16, 3)


def test_what_cannot_be_rendered_is_listed_and_left_out(rendering: Callable[[str], Rendering]) -> None:
    one = rendering("a")
    one()
    failed = [json.loads(line) for line in (one.folder.path / "failed.jsonl").read_text().splitlines()]
    assert [row["file"] for row in failed] == ["bad.glb", "gone.glb"]
    assert failed[0]["reason"].startswith("it cannot be read") and failed[1]["reason"] == "the file is not there"
    metrics = json.loads(one.folder.metrics.read_text())
    assert metrics["objects"] == {"train": 5, "heldout": 1} and metrics["failed"] == 2
    assert metrics["objects_per_second"] > 0


def test_an_interrupted_run_goes_on_to_the_same_bytes(
    rendering: Callable[[str], Rendering], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, half = rendering("a"), rendering("b")
    whole()
    original, count = systems.training_data.asset_shards.photograph, iter(range(100))

    def stops(*arguments: object) -> object:
        if next(count) == 4:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(systems.training_data.asset_shards, "photograph", stops)
    with pytest.raises(Interrupted, match=r"1 of 4 shards are kept. Continue with"):
        half()
    assert list(half.shards()) == ["train-00000.failed.jsonl", "train-00000.tar"] and not half.folder.metrics.exists()
    monkeypatch.setattr(systems.training_data.asset_shards, "photograph", original)
    half(half.folder.checkpoint)
    assert half.shards() == whole.shards()
    assert (half.folder.path / "failed.jsonl").read_text() == (whole.folder.path / "failed.jsonl").read_text()


def test_another_process_makes_the_same_bytes(rendering: Callable[[str], Rendering]) -> None:
    """Slow, because a process has to start."""
    here, there = rendering("a"), rendering("b")
    here()
    there(workers=1)
    assert here.shards() == there.shards()


def test_pictures_depend_on_seed_and_file_alone(rendering: Callable[[str], Rendering], models: Path) -> None:
    first, again, other = rendering("a"), rendering("b"), rendering("c")
    first()
    other(seed=1)
    lines = (models / "captions.jsonl").read_text().splitlines()
    (models / "captions.jsonl").write_text("\n".join(lines[3:]))
    again()
    boxes = [Shards(str(one.folder.path)) for one in (first, again, other)]
    assert boxes[0][4].source == boxes[1][len(boxes[1]) - 1].source == "box_4.glb"
    assert torch.equal(boxes[0][4].images, boxes[1][len(boxes[1]) - 1].images)
    assert not torch.equal(boxes[0][4].images, boxes[2][4].images)


def test_a_folder_that_has_changed_is_not_continued(rendering: Callable[[str], Rendering], models: Path) -> None:
    one = rendering("a")
    one()
    colored_box(models / "gone.glb")
    with pytest.raises(UserError, match="holds other files or captions than when"):
        one(one.folder.checkpoint)
    with pytest.raises(UserError, match="shards are continued where they lie"):
        one(models / "captions.jsonl")


def test_a_folder_of_which_nothing_can_be_rendered_has_failed(
    rendering: Callable[[str], Rendering], models: Path
) -> None:
    (models / "captions.jsonl").write_text('{"file": "bad.glb", "caption": "bad"}')
    with pytest.raises(FailedError, match=r"nothing could be rendered; .*failed.jsonl says why"):
        rendering("a")()


def test_a_wrong_folder_is_named(models: Path, tmp_path: Path) -> None:
    studio = Studio(FourViews(), Lighting())
    for nowhere in ("/nowhere", "a" * 300):
        with pytest.raises(UserError, match=rf"assets={nowhere}: there is no such folder"):
            RenderAssets(nowhere, studio)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no 3D file"):
        RenderAssets(str(tmp_path / "empty"), studio)


def test_the_experiment_passes_the_check(run: Run, models: Path) -> None:
    run.accepts("experiment=render_assets", f"assets={models}", "data.n_view=32", "data.start=0", "data.size=256")
    run.accepts("experiment=render_assets", f"assets={models}", "data=orbit", "job.studio.n_view=8")
    wrong = run.error("experiment=render_assets", f"assets={models}", "job.studio.fit=bal")
    assert "job.studio.fit=bal must be one of sphere, box" in wrong


def test_shards_are_encoded_where_toys_are(rendering: Callable[[str], Rendering], tmp_path: Path) -> None:
    one = rendering("a")
    one(size=64)
    autoencoder = new_autoencoder((8, 8, 8))
    autoencoder.register_to_config(latents_mean=[0.0] * 4, latents_std=[1.0] * 4)
    views, words = ShardViews(str(one.folder.path)), new_tokenizer()
    cache = build_cache(views, Autoencoder(autoencoder), words, 6, 0)
    assert cache.latents.shape == (6, 4, 4, 16, 16) and cache.ids.shape[:2] == (6, 8)
    saved = cached(tmp_path / "c.pt", views, Autoencoder(autoencoder), words, 6, 0)
    assert torch.equal(saved.latents, cache.latents)
