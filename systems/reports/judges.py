"""Who looks at the scene of a text-to-3D run and says what it is worth, on the way and at the end."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from data.ranges import PositiveInt
from metrics.clip_score import clip_scores
from metrics.consistency import ImageDistance, neighbour_distances
from metrics.text_image import TextImageModel, UnknownWordsError
from systems.reports.janus import Fronts, count_fronts, janus_of
from systems.reports.truth import Viewable

log = logging.getLogger(__name__)
CLIP_VIEWS, NEIGHBOURS = 8, 20  # of the turntable's frames
RING = (20.0,)  # degrees; on the way, one ring of cameras counts the fronts


class Judges:
    """Each may be null, and says nothing about a prompt that it cannot judge.

    clip: embeds pictures and prompt. fronts: counts them. distance: between neighbours on the turntable.
    ring_size: pixels of the 24 pictures in which fronts are counted on the way; null: they are counted at the end only.
    """

    def __init__(
        self,
        clip: Callable[[], TextImageModel] | None = None,
        fronts: Fronts | None = None,
        distance: Callable[[], ImageDistance] | None = None,
        ring_size: PositiveInt | None = 32,
    ) -> None:
        self._load, self.fronts, self.distance, self.ring_size = clip, fronts, distance, ring_size

    @cached_property
    def clip(self) -> TextImageModel | None:
        """Read when it is needed: not before the first step."""
        return self._load() if self._load else None

    def on_the_way(self, system: Viewable, images: list[UInt8[np.ndarray, "h w 3"]]) -> dict[str, float]:
        """images: of the scene, from around."""
        found = {"clip_score": score} if (score := self._clip_score(images, system.prompt)) is not None else {}
        if self.fronts and self.ring_size and (count := count_fronts(system, self.fronts, self.ring_size, RING)):
            found["janus_front_arcs"] = float(count[1].front_arcs)
        return found

    def at_the_end(self, system: Viewable, frames: list[UInt8[np.ndarray, "h w 3"]]) -> dict[str, str | int | float]:
        """frames: of the turntable."""
        found: dict[str, str | int | float] = {}
        if (score := self._clip_score(_some(frames, CLIP_VIEWS), system.prompt)) is not None and self.clip:
            found |= {"clip_score": score, "clip_model": self.clip.name}
        if self.fronts:
            found |= janus_of(system, self.fronts)
        if self.distance:
            distance, near = self.distance(), _some(frames, NEIGHBOURS)
            changes = neighbour_distances(_pictures(near), distance)
            found |= {f"{distance.name}_of_{len(near)}_views": round(changes.mean().item(), 5)}
        return found

    def _clip_score(self, images: list[UInt8[np.ndarray, "h w 3"]], prompt: str) -> float | None:
        if self.clip is None:
            return None
        try:
            return round(clip_scores(self.clip, _pictures(images), [prompt] * len(images)).mean().item(), 3)
        except UnknownWordsError as unknown:
            log.debug("No CLIP score: %s", unknown)
            return None


def _some(frames: list[UInt8[np.ndarray, "h w 3"]], n: int) -> list[UInt8[np.ndarray, "h w 3"]]:
    """About n of them, evenly around."""
    return frames[:: max(1, len(frames) // n)]


def _pictures(images: list[UInt8[np.ndarray, "h w 3"]]) -> Float[Tensor, "b h w 3"]:
    return torch.from_numpy(np.stack(images)).float() / 255
