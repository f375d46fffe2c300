"""How many fronts a scene has, and who counts them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch

from data.errors import UserError
from data.toybox.grammar import has_front
from metrics.janus import ELEVATIONS, JanusScore, Rule, ViewClassifier, janus, janus_cameras, read_rule, rule_file
from metrics.text_image import TextImageModel, UnknownWordsError
from metrics.toybox_truth import toy_of
from metrics.true_views import TrueViews, fronted_toy
from metrics.views import ClipViews
from systems.reports.truth import Viewable

CALIBRATE = "python -m benchmarks.janus --classifier FOLDER --out FILE makes one"


@dataclass(frozen=True)
class Counter:
    """A view classifier with the rule that was calibrated for it (`python -m benchmarks.janus`)."""

    name: str
    classifier: ViewClassifier
    rule: Rule


@runtime_checkable
class Fronts(Protocol):
    def counter(self, prompt: str) -> Counter | None:
        """None: nobody here can tell what the front of that is."""
        ...


class KnownFronts:
    """By the views of the true toy; nothing about a prompt that means no toy with a front."""

    def counter(self, prompt: str) -> Counter | None:
        name = "true_views"
        return Counter(name, TrueViews(), read_rule(rule_file(name))) if fronted_toy(prompt) else None


class ToldFronts:
    """By a model that was taught view words; nothing about a toy without a front, or in words that it does not know.

    calibration: the JSON with the rule; null: metrics/janus_<name of the model>.json.
    """

    def __init__(self, clip: Callable[[], TextImageModel], calibration: str | None = None) -> None:
        self._load, self.calibration = clip, calibration
        if calibration and not Path(calibration).is_file():
            raise UserError(f"metric.fronts.calibration={calibration}: there is no such file; {CALIBRATE}")

    @cached_property
    def views(self) -> ClipViews:
        return ClipViews(self._load())

    def counter(self, prompt: str) -> Counter | None:
        toy = toy_of(prompt)
        if toy and not has_front(toy.kind):
            return None
        model = self.views.model
        try:
            model.embed_texts([prompt])
        except UnknownWordsError:
            return None
        file = Path(self.calibration) if self.calibration else rule_file(model.name)
        if not file.is_file():
            raise UserError(f"metric.fronts.calibration: there is no {file}; {CALIBRATE}")
        return Counter(model.name, self.views, read_rule(file))


def count_fronts(
    system: Viewable, fronts: Fronts, size: int = 64, elevations: Sequence[float] = ELEVATIONS
) -> tuple[str, JanusScore] | None:
    """Who counted, and what; None where nobody can tell."""
    counter = fronts.counter(system.prompt)
    if counter is None:
        return None
    cameras = janus_cameras(size, elevations)
    seen = [system.look(cameras[i : i + 1]) for i in range(len(cameras))]
    images, opacity = (torch.cat([getattr(one, name).cpu() for one in seen]) for name in ("rgb", "opacity"))
    return counter.name, janus(images, opacity, system.prompt, counter.classifier, counter.rule)


def janus_of(system: Viewable, fronts: Fronts) -> dict[str, int | str]:
    """`janus`: 1 for a scene with a second front; `janus_front_arcs`: 0 for one without any."""
    found = count_fronts(system, fronts)
    if found is None:
        return {}
    name, score = found
    return {"janus": int(score.is_janus), "janus_front_arcs": score.front_arcs, "janus_classifier": name}
