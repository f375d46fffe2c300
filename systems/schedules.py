"""Values that change over a run. Each is a function of progress = step / max_steps in [0, 1], and of nothing else: a
resumed run needs no state, and a longer run stretches every schedule with it."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from data.errors import UserError
from data.ranges import Fraction, PositiveFloat
from systems.command.trees import Tree, flatten


@runtime_checkable
class Schedule(Protocol):
    def __call__(self, progress: float) -> int | float: ...


class Linear:
    """`start` before progress `since`, `end` after progress `until`, straight in between."""

    def __init__(self, start: float, end: float, until: Fraction = 1.0, since: Fraction = 0.0) -> None:
        self.start, self.end = start, end
        self.since, self.until = since, until

    def __call__(self, progress: float) -> float:
        part = (progress - self.since) / max(self.until - self.since, 1e-12)
        return self.start + (self.end - self.start) * min(max(part, 0.0), 1.0)


class Sqrt:
    """start - (start - end) sqrt(progress): most of the way early, the rest slowly (HiFA, Zhu et al. 2023)."""

    def __init__(self, start: float, end: float) -> None:
        self.start, self.end = start, end

    def __call__(self, progress: float) -> float:
        return self.start - (self.start - self.end) * math.sqrt(progress)


class Exponential:
    """start (end / start)^progress: the same share of what is left at every step."""

    def __init__(self, start: PositiveFloat, end: PositiveFloat) -> None:
        self.start, self.end = start, end

    def __call__(self, progress: float) -> float:
        return self.start * (self.end / self.start) ** progress


class Steps:
    """`values[i]` from progress `at[i - 1]` on; values[0] from the start. Keeps their type: use it for sizes."""

    def __init__(self, values: Sequence[int | float], at: Sequence[float]) -> None:
        if len(values) != len(at) + 1 or list(at) != sorted(at):
            raise UserError(f"Steps(values={values}, at={at}): give one more value than turning points, these in order")
        self.values, self.at = values, at

    def __call__(self, progress: float) -> int | float:
        return self.values[sum(progress >= turn for turn in self.at)]


class ScheduleTable:
    """`{"guidance": {"max_t": Linear(...)}}`: which attribute of `root` follows which schedule; null: none."""

    def __init__(self, root: object, schedules: Tree[Schedule | None]) -> None:
        table = {path: schedule for path, schedule in flatten(schedules).items() if schedule is not None}
        for path, schedule in table.items():
            if not isinstance(schedule, Schedule):
                raise UserError(f"system.schedules.{path}={schedule} is no schedule: it needs a _target_")
        self.entries = [(*_owner(root, path), schedule) for path, schedule in table.items()]

    def apply(self, progress: float) -> None:
        for owner, name, schedule in self.entries:
            setattr(owner, name, schedule(progress))


def last_progress(n_steps: int, max_steps: int) -> float:
    """The progress in the last of the steps done: what was scheduled when a scene came to be what it is."""
    return max(n_steps - 1, 0) / max_steps


def _owner(root: object, path: str) -> tuple[object, str]:
    """The object and the attribute that a dotted path ends in; a table on the way is entered by its keys."""
    owner, parts = root, path.split(".")
    for depth, part in enumerate(parts):
        known = list(owner) if isinstance(owner, Mapping) else [name for name in dir(owner) if not name.startswith("_")]
        if part not in known:
            near = difflib.get_close_matches(part, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise UserError(f"system.schedules: {path} has no {'.'.join(parts[: depth + 1])}{hint}")
        if depth < len(parts) - 1:
            owner = owner[part] if isinstance(owner, Mapping) else getattr(owner, part)
    return owner, parts[-1]
