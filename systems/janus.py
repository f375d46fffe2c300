"""How many fronts a finished scene has."""

from __future__ import annotations

import torch

from metrics.janus import janus, janus_cameras, read_rule
from metrics.true_views import TrueViews, fronted_toy
from systems.truth import Viewable


def janus_of(system: Viewable, size: int = 64) -> dict[str, int | str]:
    """`janus`: 1 for a scene with a second front; `janus_front_arcs`: 0 for one without any.

    Empty for a prompt that is about no toy with a front: the classifier knows the true views of toys only.
    """
    if fronted_toy(system.prompt) is None:
        return {}
    cameras = janus_cameras(size)
    images = torch.cat([system.look(cameras[i : i + 1]).rgb.cpu() for i in range(len(cameras))])
    score = janus(images, system.prompt, TrueViews(), read_rule("true_views"))
    return {
        "janus": int(score.is_janus),
        "janus_front_arcs": score.front_arcs,
        "janus_classifier": "true_views",
    }
