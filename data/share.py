"""The part of a batch that falls to one of several processes, and what they tell each other of their parts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, distributed

from data.errors import UserError


@dataclass(frozen=True)
class Share:
    """The part number `index` of `count`, equally large, in order. One process has the whole, and tells nobody.

    All processes of a run come to each of these calls. Their gradients are averaged in the end (DDP).
    """

    index: int = 0
    count: int = 1

    def of(self, n: int) -> slice:
        each, rest = divmod(n, self.count)
        if rest:
            raise UserError(f"system.batch_size={n}: {self.count} processes share it; say a multiple of {self.count}")
        return slice(self.index * each, (self.index + 1) * each)

    def mean(self, own: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """Of what each process has. Its gradient is that of the own one, since the average does the rest."""
        if self.count == 1:
            return own
        total = own.detach().clone()
        distributed.all_reduce(total)
        return total / self.count + (own - own.detach())

    def gather(self, own: Float[Tensor, "b *d"]) -> Float[Tensor, "n *d"]:
        """All parts. To be used alike by all processes: the gradient of the own part is `count` times what this one
        finds, since the others, who find the same, pass none on to it."""
        if self.count == 1:
            return own
        parts = [torch.empty_like(own.detach()) for _ in range(self.count)]
        distributed.all_gather(parts, own.detach().contiguous())
        parts[self.index] = own.detach() + self.count * (own - own.detach())
        return torch.cat(parts)

    def draw(
        self, rows: int, columns: int, rng: torch.Generator, device: torch.device
    ) -> Float[Tensor, "{rows} {columns}"]:
        """Uniform numbers for rows of which each process has another number: its own of those for all."""
        own = torch.tensor([rows], device=device)
        counts = [rows]
        if self.count > 1:
            found = [torch.empty_like(own) for _ in range(self.count)]
            distributed.all_gather(found, own)
            counts = [int(one) for one in found]
        first = sum(counts[: self.index])
        return torch.rand(sum(counts), columns, generator=rng, device=rng.device)[first : first + rows]


WHOLE = Share()
