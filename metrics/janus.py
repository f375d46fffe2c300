"""The Janus problem as a number: how many fronts an object shows to cameras that go around it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from data.cameras import Cameras, look_at_origin
from data.samplers import turntable

N_AZIMUTHS, ELEVATIONS = 24, (0.0, 20.0)  # degrees; a view from the front every 15 degrees, from two heights
EMPTY = 0.02  # mean opacity; the least that a toy with a front has from here is 0.13
RULES = Path(__file__).parent


@runtime_checkable
class ViewClassifier(Protocol):
    """Tells from a picture alone whether it shows the front of what the prompt says."""

    def p_front(self, images: Float[Tensor, "b h w 3"], prompt: str) -> Float[Tensor, "b"]:
        """Probabilities, or scores in [0, 1] that grow with them."""
        ...


@dataclass(frozen=True)
class Rule:
    """What counts as a front; `benchmarks.janus` chooses it for a classifier, on planted cases.

    A front arc rises above level + margin and ends below level - margin. The level is `threshold`, or, where P(front)
    varies around the object by more than `contrast`, the middle of what it varies over if that is higher, but not above
    1/2: who sees a front on one side, however blurred, need not call it one on the others, unless it is. One front is
    seen from at most `widest` degrees: two that are too near each other to part, and a face on every side, are one arc
    that is too wide. It counts as many times as `widest` goes into it, rounded up.
    """

    threshold: float = 0.5
    margin: float = 0.02
    widest: float = 135.0
    contrast: float = 1.0

    def level(self, p: Float[Tensor, "a"]) -> float:
        low, high = p.min().item(), p.max().item()
        return max(self.threshold, min((low + high) / 2, 0.5)) if high - low > self.contrast else self.threshold


@dataclass(frozen=True)
class JanusScore:
    front_arcs: int  # 0: faceless, which is not Janus, but nothing to be proud of
    p_front: Float[Tensor, "a"]  # by azimuth from 0, mean over elevations

    @property
    def is_janus(self) -> bool:
        return self.front_arcs >= 2


def janus_cameras(size: int = 64, elevations: Sequence[float] = ELEVATIONS) -> Cameras:
    """N_AZIMUTHS from each of the elevations, azimuth fastest."""
    ring, n = turntable(N_AZIMUTHS, size), len(elevations)
    elevation = torch.deg2rad(torch.tensor(elevations)).repeat_interleave(N_AZIMUTHS)
    return look_at_origin(ring.azimuth.repeat(n), elevation, ring.distance.repeat(n), ring.fov_y.repeat(n), size, size)


def janus(
    images: Float[Tensor, "b h w 3"],
    opacity: Float[Tensor, "b h w 1"],
    prompt: str,
    classifier: ViewClassifier,
    rule: Rule,
) -> JanusScore:
    """images: of one object, from `janus_cameras`. What is hardly there has no front, whatever the classifier reads
    into a bare background."""
    p_front = classifier.p_front(images, prompt).unflatten(0, (-1, N_AZIMUTHS))
    arcs = front_arcs(p_front, rule) if opacity.mean() >= EMPTY else 0
    return JanusScore(arcs, p_front.mean(dim=0))


def front_arcs(p_front: Float[Tensor, "e a"], rule: Rule) -> int:
    """How many fronts there are, from P(front) by elevation and azimuth, the azimuths evenly all around the object."""
    p = smoothed(p_front.mean(dim=0))
    step, level = 360.0 / len(p), rule.level(p)
    peaks = (p > level + rule.margin).tolist()
    runs = _runs_around((p > level - rule.margin).tolist())
    return sum(math.ceil(len(run) * step / rule.widest) for run in runs if any(peaks[i] for i in run))


def smoothed(p: Float[Tensor, "a"]) -> Float[Tensor, "a"]:
    """Around the circle with weights 1, 2, 1: a single view that is misread neither makes a front nor parts one."""
    return (p.roll(1) + 2 * p + p.roll(-1)) / 4


def read_rule(file: Path) -> Rule:
    return Rule(**json.loads(file.read_text())["rule"])


def rule_file(classifier: str) -> Path:
    """Where the calibrated rule of the classifier of this name stands."""
    return RULES / f"janus_{classifier}.json"


def _runs_around(inside: list[bool]) -> Iterator[list[int]]:
    """The maximal runs of indices around the circle that are inside."""
    n = len(inside)
    if all(inside):
        yield list(range(n))
        return
    start = inside.index(False)
    run: list[int] = []
    for i in (*range(start, n), *range(start + 1)):
        if inside[i]:
            run.append(i)
        elif run:
            yield run
            run = []
