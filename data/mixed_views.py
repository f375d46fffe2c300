"""Objects of several kinds in one batch: toys and rendered 3D files, say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from data.cameras import Cameras, join
from data.errors import UserError
from data.ranges import NonNegativeFloat, PositiveInt
from data.views import ViewBatch, Views


@dataclass(frozen=True)
class MixedBatch:
    """n objects, b = n x views pictures, view fastest."""

    parts: Sequence[ViewBatch]
    order: Int[Tensor, "n"]  # of the objects of all parts, one part after the other
    n_view: int

    @property
    def images(self) -> Float[Tensor, "b h w 3"]:
        return torch.cat([part.images for part in self.parts])[self._pictures]

    @property
    def cameras(self) -> Cameras:
        return join([part.cameras for part in self.parts])[self._pictures]

    @property
    def _pictures(self) -> Int[Tensor, "b"]:
        return (self.order[:, None] * self.n_view + torch.arange(self.n_view)).flatten()

    def draw_captions(self, count: int, rng: torch.Generator) -> list[list[str]]:
        said = [captions for part in self.parts for captions in part.draw_captions(count, rng)]
        return [said[index] for index in self.order.tolist()]


class MixedViews:
    """Draws each object from one of the parts, with probabilities as their shares; the shares need not add up to 1."""

    def __init__(self, parts: Mapping[str, Views], shares: Mapping[str, NonNegativeFloat]) -> None:
        if set(parts) != set(shares):
            raise UserError(f"shares are of {', '.join(shares)}: say one of each part, which are {', '.join(parts)}")
        if min(shares.values()) < 0 or sum(shares.values()) == 0:
            raise UserError(f"shares are {', '.join(map(str, shares.values()))}: say none below 0, and one above")
        counts = {name: part.n_view for name, part in parts.items()}
        if len(set(counts.values())) > 1:
            found = ", ".join(f"{name} {count}" for name, count in counts.items())
            raise UserError(f"n_view differs between the parts ({found}): say the same of all")
        self.parts, self.shares = parts, shares
        self.n_view: PositiveInt = next(iter(counts.values()))

    @property
    def settings(self) -> tuple[object, ...]:
        return tuple((name, self.shares[name], *part.settings) for name, part in self.parts.items())

    def draw(self, n_objects: int, rng: torch.Generator) -> MixedBatch:
        """The parts one after the other, each so often as it was chosen."""
        shares = torch.tensor([self.shares[name] for name in self.parts], dtype=torch.float64)
        chosen = torch.multinomial(shares, n_objects, replacement=True, generator=rng)
        counts = torch.bincount(chosen, minlength=len(shares)).tolist()
        drawn = [part.draw(count, rng) for part, count in zip(self.parts.values(), counts, strict=True) if count]
        return MixedBatch(drawn, chosen.argsort(stable=True).argsort(), self.n_view)
