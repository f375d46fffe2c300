"""Which cells of a coarse grid hold anything: lets rays skip empty space. Semantics of nerfacc's OccGridEstimator."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from data.ranges import Fraction, NonNegativeInt, PositiveFloat, PositiveInt


class OccupancyGrid(nn.Module):
    """A grid over the cube |x|_inf <= radius; a cell is occupied if its recent alpha exceeds min(mean, threshold).

    Both buffers are part of the state dict: a resumed run skips exactly what the uninterrupted one would. Until the
    first update every cell is occupied (nerfacc: none is), so that a fresh grid hides nothing.
    """

    alpha: Float[Tensor, "x y z"]
    occupied: Bool[Tensor, "x y z"]

    def __init__(
        self,
        radius: PositiveFloat = 0.6,
        resolution: PositiveInt = 32,
        decay: Fraction = 0.95,
        threshold: Fraction = 0.01,
        warmup: NonNegativeInt = 256,
        every: PositiveInt = 16,
    ) -> None:
        super().__init__()
        self.radius = radius
        self.decay, self.threshold = decay, threshold
        self.warmup, self.every = warmup, every
        shape = (resolution, resolution, resolution)
        self.register_buffer("alpha", torch.zeros(shape))
        self.register_buffer("occupied", torch.ones(shape, dtype=torch.bool))

    @torch.no_grad()
    def update(
        self, step: int, alpha: Callable[[Float[Tensor, "n 3"]], Float[Tensor, "n"]], rng: torch.Generator
    ) -> None:
        """Every `every` steps: alpha <- max(decay * alpha, alpha(a random point of the cell)).

        All cells during the first `warmup` steps, then a random quarter of them and all that are occupied.
        """
        if step % self.every:
            return
        chosen = torch.ones_like(self.occupied)
        if step >= self.warmup:
            chosen = self.occupied | (self._uniform(*chosen.shape, rng=rng) < 0.25)
        cells = chosen.nonzero()
        unit = (cells + self._uniform(*cells.shape, rng=rng)) / chosen.shape[0]
        points = (2 * unit - 1) * self.radius
        self.alpha[chosen] = torch.maximum(self.alpha[chosen] * self.decay, alpha(points))
        self.occupied = self.alpha > self.alpha.mean().clamp(max=self.threshold)

    def _uniform(self, *shape: int, rng: torch.Generator) -> Tensor:
        return torch.rand(shape, generator=rng, device=rng.device).to(self.alpha.device)
