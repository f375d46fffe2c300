from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import imageio.v3 as iio
import pytest
import torch
from jaxtyping import Float
from omegaconf import OmegaConf
from torch import Tensor

from data.errors import UserError
from guidance.prompts import PromptProcessor
from guidance.sampling import DDIM
from metrics.features import Features
from systems.command.run_folder import Interrupted, RunFolder
from systems.evaluation.picture_sources import FromFolder, FromPrior, FromToybox
from systems.evaluation.score_pictures import ScorePictures
from systems.evaluation.seen_pictures import see_once
from systems.reports.tables import Table
from systems.reports.wandb_log import WandbLog
from tests.systems.test_sample import EchoPrior, Stopping

CONFIG = OmegaConf.create({"prompt": None, "seed": 0})
Scored = Callable[..., dict[str, float]]


class MeanColor:
    name, n_features, n_classes, calls = "mean_color", 3, 3, 0

    def __call__(self, images: Float[Tensor, "b h w 3"]) -> Features:
        self.calls += 1
        mean = images.mean(dim=(1, 2))
        return Features(mean, 10 * mean)


class KnowsCaptions:
    """Finds every caption in every picture, but the first one twice as well."""

    name, logit_scale = "oracle", 1.0

    def embed_images(self, images: Float[Tensor, "b h w 3"]) -> Float[Tensor, "b d"]:
        return torch.tensor([0.6, 0.8]).expand(len(images), 2)

    def embed_texts(self, texts: Sequence[str]) -> Float[Tensor, "n d"]:
        return torch.tensor([[0.0, 1.0]] + [[1.0, 0.0]] * (len(texts) - 1))


def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(str(tmp_path), "score", None, 0, state="manifest.json")


@pytest.fixture
def scored(tmp_path: Path) -> Scored:
    def go(source: FromPrior | FromToybox, **settings: object) -> dict[str, float]:
        place = folder(tmp_path)
        job = ScorePictures(source, MeanColor, cache_dir=str(tmp_path / "cache"), **settings)
        job.run(place, place.open(CONFIG, ["experiment=score_prior"]))
        return json.loads(place.metrics.read_text())

    return go


def echo(tmp_path: Path, sampler: DDIM | Stopping | None = None) -> FromPrior:
    processor = partial(PromptProcessor, prompt="", cache_dir=str(tmp_path / "prompts"))
    return FromPrior(EchoPrior(), sampler or DDIM(1, 1.0), processor, batch=2)


def test_the_toybox_is_as_good_as_itself(scored: Scored) -> None:
    same = FromToybox(size=16, variation=0.0)
    found = scored(same, reference=same, n_captions=6)
    assert (found["fid_mean_color"], found["kid_mean_color"]) == pytest.approx((0, 0), abs=1e-9)
    assert found["truth_psnr"] > 30 and found["truth_iou"] > 0.75  # 16 pixels; and grey parts count as holes
    assert found["captions"] == found["reference"] == 6 and found["images"] == 24


class Shows(WandbLog):
    def __init__(self) -> None:
        self.told: list[tuple[str, Table, set[str]]] = []

    def show_table(self, name: str, table: Table, metrics: Mapping[str, object], pictures: Mapping[str, Path]) -> None:
        assert all(picture.is_file() for picture in pictures.values())
        self.told.append((name, table, set(metrics)))


def test_one_prior_has_a_table_of_one_row_a_page_with_its_pictures_and_a_place_in_wandb(
    scored: Scored, tmp_path: Path
) -> None:
    log = Shows()
    found = scored(FromToybox(size=8), reference=FromToybox(size=8, seed=1), n_captions=4, logger=log)
    place = folder(tmp_path).path
    page, table = (place / "index.html").read_text(), (place / "table.md").read_text()
    assert "fid_mean_color" in page and page.count("<img") == 1 and "4 captions" in page
    assert table.count("\n") == 3 and "| run-0 |" in table and "truth_iou" in table
    assert (place / "table.csv").read_text().count("\n") == 2
    ((name, sent, metrics),) = log.told
    assert name == "scores" and list(sent.rows) == ["run-0"] and metrics == set(found)


def test_noise_is_farther_from_the_toybox_than_toys_of_another_shape(scored: Scored, tmp_path: Path) -> None:
    reference = FromToybox(size=4, seed=1)
    toys = scored(FromToybox(size=4), reference=reference, n_captions=6)
    folder(tmp_path).metrics.unlink()
    noise = scored(echo(tmp_path), reference=reference, n_captions=6)
    assert noise["fid_mean_color"] > 10 * toys["fid_mean_color"]
    assert noise["truth_psnr"] < toys["truth_psnr"]


def test_a_toy_is_asked_for_by_its_plain_caption(scored: Scored, tmp_path: Path) -> None:
    (tmp_path / "captions.txt").write_text("crimson puppy\na red toy dog\na green car\n")
    found = scored(FromToybox(size=8), clip=KnowsCaptions, file=str(tmp_path / "captions.txt"))
    assert found["r_precision_2_oracle"] == pytest.approx(2 / 3)
    assert found["clip_score_oracle"] == pytest.approx((80 + 80 + 60) / 3, rel=1e-5)
    assert found["clip_score_oracle_low"] < 73 < found["clip_score_oracle_high"]
    assert "inception_score_mean_color" in found and "fid_mean_color" not in found


def test_every_caption_begins_with_noise_of_its_own(scored: Scored, tmp_path: Path) -> None:
    (tmp_path / "captions.txt").write_text("a pig\na dog\na car\na cat\n")
    scored(echo(tmp_path), file=str(tmp_path / "captions.txt"))
    images = sorted(folder(tmp_path).path.glob("images/*.png"))
    assert len(images) == len({file.read_bytes() for file in images}) == 16
    assert iio.imread(folder(tmp_path).path / "sheet.png").shape == (4 * 4, 8 * 4, 3)


def test_what_was_interrupted_goes_on_with_the_pictures_that_are_there(scored: Scored, tmp_path: Path) -> None:
    with pytest.raises(Interrupted, match="2 of 6 samples are kept"):
        scored(echo(tmp_path, Stopping(at=2)), n_captions=6)
    stopped = {file: file.stat().st_mtime_ns for file in folder(tmp_path).path.glob("images/*")}
    assert len(stopped) == 8
    assert scored(echo(tmp_path), n_captions=6)["samples"] == 6
    assert all(file.stat().st_mtime_ns == written for file, written in stopped.items())


def test_what_is_wrong_with_the_reference_is_told_before_a_picture_is_drawn(scored: Scored, tmp_path: Path) -> None:
    (tmp_path / "captions.txt").write_text("a red dog\nan astronaut\na green car\n")
    with pytest.raises(UserError, match=r'"an astronaut" is no toy.*say job.reference=null'):
        scored(echo(tmp_path), reference=FromToybox(size=4), file=str(tmp_path / "captions.txt"))
    assert not list(folder(tmp_path).path.glob("images/*"))


def test_pictures_that_are_there_can_be_looked_at_by_others(tmp_path: Path) -> None:
    """Another reference, other features, another CLIP: none of them makes pictures."""
    said = lambda **job: OmegaConf.create({"job": {"source": {"steps": 30}} | job})
    place = folder(tmp_path)
    place.open(said(reference={"size": 64}, features={"name": "one"}, clip=None), [])
    place.checkpoint.write_text("{}")
    assert place.plan(said(reference=None, features={"name": "two"}, clip={"path": "x"})) == place.checkpoint
    with pytest.raises(UserError, match=r"job\.source\.steps was 30, is 9"):
        place.plan(said(source={"steps": 9}))


def test_a_reference_of_another_size_is_refused(scored: Scored, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"metric.reference.size: its pictures have 8 x 8 pixels, the others 4 x 4"):
        scored(echo(tmp_path), reference=FromToybox(size=8), n_captions=3)


def test_of_a_folder_as_many_pictures_are_drawn_as_there_are_captions(tmp_path: Path) -> None:
    """Its first files by name, all black, are no sample of it."""
    for i in range(40):
        iio.imwrite(tmp_path / f"{i:02}.png", torch.full((4, 4, 3), 6 * i, dtype=torch.uint8).numpy())
        (tmp_path / f"{i:02}.txt").write_text("a thing")

    def draw(n: int, seed: int) -> list[int]:
        drawn = FromFolder(str(tmp_path), 4, seed).draw(["a red dog"] * n, folder(tmp_path / "run"), None)
        assert not drawn.captioned
        return [int(image[0, 0, 0, 0]) // 6 for image in drawn.images]

    few = draw(8, 0)
    assert few == draw(8, 0) and few != draw(8, 1) and few != list(range(8))
    assert len(set(few)) == 8 and max(few) >= 20
    assert draw(50, 0) == list(range(40))


def test_a_folder_of_the_same_pictures_shares_no_captions(scored: Scored, tmp_path: Path) -> None:
    """KID compares all pairs of the sets then: with themselves, they are a little below 0."""
    caption_file = tmp_path / "captions.txt"
    caption_file.write_text("a red dog\na green car\na blue chair\n")
    toys = FromToybox(size=4, n_view=1)
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for i, image in enumerate(toys.draw(caption_file.read_text().splitlines(), folder(tmp_path), None).images):
        iio.imwrite(pictures / f"{i}.png", image[0].numpy())
        (pictures / f"{i}.txt").write_text("a thing")
    assert scored(toys, reference=FromFolder(str(pictures), 4), file=str(caption_file))["kid_mean_color"] < -1e-4


def test_pictures_are_looked_at_once(tmp_path: Path, rng: torch.Generator) -> None:
    images = (torch.rand(3, 2, 4, 4, 3, generator=rng) * 255).byte()
    first, again = MeanColor(), MeanColor()
    seen, known = see_once(first, images, tmp_path), see_once(again, images, tmp_path)
    assert first.calls == 2 and again.calls == 0
    assert torch.equal(seen.features, known.features) and torch.equal(seen.logits, known.logits)
    see_once(again, 255 - images, tmp_path)
    assert again.calls == 2
