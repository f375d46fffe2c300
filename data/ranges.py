"""Number ranges for constructor arguments. They are plain numbers to Python; systems/command/schema.py reads them off
the signature before anything heavy is imported, so that `trainer.max_steps=-3` is refused at once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included."""

    words: str
    low: float
    high: float = math.inf

    def __contains__(self, value: int | float) -> bool:
        return self.low <= value <= self.high


PositiveInt = Annotated[int, Range("a whole number above 0", 1.0)]
Seed = Annotated[int, Range("a whole number from 0 to 4294967295", 0.0, 2.0**32 - 1)]
TwoOrMore = Annotated[int, Range("a whole number above 1", 2.0)]
ThreeOrMore = Annotated[int, Range("a whole number above 2", 3.0)]
NonNegativeInt = Annotated[int, Range("a whole number, 0 or above", 0.0)]
PositiveFloat = Annotated[float, Range("a number above 0", math.nextafter(0, 1))]
NonNegativeFloat = Annotated[float, Range("a number, 0 or above", 0.0)]
Fraction = Annotated[float, Range("a number from 0 to 1", 0.0, 1.0)]
