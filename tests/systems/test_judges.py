from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import Float
from pytorch_lightning import Trainer
from pytorch_lightning.loggers.logger import DummyLogger
from torch import Tensor

from metrics.text_image import UnknownWordsError
from systems.checkpoint import Checkpoint
from systems.export import Exporter
from systems.reports.janus import KnownFronts
from systems.reports.judges import Judges
from systems.reports.progress import Progress
from systems.reports.reporting import Report
from systems.text_to_3d import TextTo3D
from tests.systems.test_janus import Shown


class Brightness:
    """As near to "bright" as it is bright; knows one word."""

    name, logit_scale = "brightness", 1.0

    def embed_images(self, images: Float[Tensor, "b h w 3"]) -> Float[Tensor, "b d"]:
        cosine = images.mean(dim=(1, 2, 3))
        return torch.stack([cosine, (1 - cosine**2).sqrt()], dim=1)

    def embed_texts(self, texts: list[str]) -> Float[Tensor, "n d"]:
        if set(texts) - {"bright", "red"}:
            raise UnknownWordsError("one word")
        return torch.tensor([[1.0, 0.0]] * len(texts))


class MeanSquare:
    name = "mean_square"

    def __call__(self, a: Float[Tensor, "b h w 3"], b: Float[Tensor, "b h w 3"]) -> Float[Tensor, "b"]:
        return (a - b).square().mean(dim=(1, 2, 3))


class Sent(DummyLogger):
    """What W&B would get."""

    def __init__(self) -> None:
        super().__init__()
        self.scores: dict[int, float] = {}

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        self.scores |= {step: metrics["clip_score"]} if "clip_score" in metrics else {}


def grey(*levels: int) -> list[np.ndarray]:
    return [np.full((4, 4, 3), level, dtype=np.uint8) for level in levels]


def test_at_the_end_eight_frames_are_scored_and_all_neighbours_compared() -> None:
    shown = Shown("a red dog")
    shown.prompt = "bright"
    found = Judges(Brightness, KnownFronts(), MeanSquare).at_the_end(shown, grey(0, 255) * 8)
    assert found == {"clip_score": 0.0, "clip_model": "brightness", "mean_square_of_16_views": 1.0}


def test_words_that_a_model_does_not_know_have_no_score() -> None:
    judges = Judges(Brightness, KnownFronts())
    assert judges.at_the_end(Shown("a blue chair", 0), grey(255)) == {}
    assert judges.on_the_way(Shown("a blue chair", 0), grey(255)) == {}


def test_on_the_way_the_pictures_that_are_there_are_scored_and_the_fronts_counted() -> None:
    shown = Shown("a green robot", 0, 180)
    assert Judges(None, KnownFronts()).on_the_way(shown, grey(51)) == {"janus_front_arcs": pytest.approx(2.5, abs=0.5)}
    assert Judges(None, KnownFronts(), ring_size=None).on_the_way(shown, grey(51)) == {}
    shown.prompt = "bright"
    assert Judges(Brightness).on_the_way(shown, grey(51, 51)) == {"clip_score": pytest.approx(20.0)}


def test_scores_stand_in_the_table_at_each_report_and_in_metrics_at_the_end(
    make_system: Callable[..., TextTo3D], make_trainer: Callable[..., Trainer], tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").touch()
    exporter = Exporter(resolution=8, texture_size=16)
    report = Report(exporter, 2, 16, n_frames=8, n_views=4, judges=Judges(Brightness, KnownFronts(), MeanSquare))
    trainer, sent = make_trainer(Progress(), Checkpoint(), report), Sent()
    trainer.loggers = [sent]
    trainer.fit(make_system())
    with (tmp_path / "metrics.csv").open() as table:
        scores = {int(row["step"]): row["clip_score"] for row in csv.DictReader(table) if row["clip_score"]}
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert list(scores) == [2, 4] and all(20 < float(score) < 80 for score in scores.values())
    assert metrics["clip_model"] == "brightness" and metrics["mean_square_of_8_views"] >= 0
    assert sent.scores == {step - 1: pytest.approx(float(score)) for step, score in scores.items()}
    assert metrics["clip_score"] != pytest.approx(float(scores[4])) and "janus" not in metrics
