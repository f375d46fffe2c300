"""The learning rate of the prior's training, as a factor of its peak."""

from __future__ import annotations

import math
from collections.abc import Callable


def warm_cosine(warmup_steps: int, max_steps: int, floor: float = 0.01) -> Callable[[int], float]:
    """Linear warm-up, then half a cosine down to `floor` at `max_steps`."""

    def factor(step: int) -> float:
        cosine = (1 + math.cos(math.pi * min(1.0, step / max_steps))) / 2
        return min(1.0, (step + 1) / warmup_steps) * (floor + (1 - floor) * cosine)

    return factor
