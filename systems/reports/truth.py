"""A finished scene against the toy that its prompt means."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch

from data.cameras import Cameras
from data.samplers import turntable
from data.toybox.split import is_held_out
from metrics.facing import facing
from metrics.ground_truth import compare
from metrics.sharpness import sharpness
from metrics.toybox_truth import toy_of, true_views
from renderers.output import RenderOutput


@runtime_checkable
class Viewable(Protocol):
    @property
    def prompt(self) -> str: ...

    def look(self, cameras: Cameras) -> RenderOutput: ...


def against_truth(system: Viewable, n_views: int = 8, size: int = 128) -> dict[str, float | bool]:
    """Scores over views all around, from absolute azimuths: a toy that faces the wrong way scores badly.

    Empty for a prompt that is about no toy. `truth_sharpness`: of the edges, 1 is as sharp as the toy. `truth_facing`:
    the share of the views that show the side they should.
    `held_out`: the prior's training never drew this combination.
    """
    toy = toy_of(system.prompt)
    if toy is None:
        return {}
    cameras = turntable(n_views, size)
    seen = [system.look(cameras[i : i + 1]) for i in range(n_views)]
    rgb, opacity = torch.cat([view.rgb for view in seen]).cpu(), torch.cat([view.opacity for view in seen]).cpu()
    true_rgb, true_opacity = true_views(toy, cameras)
    score = compare(rgb, opacity, true_rgb, true_opacity)
    return {
        "truth_iou": round(score.silhouette_iou, 4),
        "truth_psnr": round(score.psnr, 3),
        "truth_sharpness": round(sharpness(rgb, true_rgb), 3),
        "truth_facing": round(facing(rgb, true_rgb, cameras.azimuth), 3),
        "held_out": is_held_out(toy),
    }
