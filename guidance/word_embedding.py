"""One word whose embedding learns, while those of all others stay (Gal et al. 2022, textual inversion)."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor, nn, where


class WordEmbedding(nn.Module):
    """`base` with its row `token` in the place of a parameter of its own."""

    def __init__(self, base: nn.Embedding, token: int) -> None:
        super().__init__()
        self.base, self.token = base, token
        self.word = nn.Parameter(base.weight.detach()[token].clone())

    def forward(self, ids: Int[Tensor, "b l"]) -> Float[Tensor, "b l d"]:
        return where((ids == self.token)[..., None], self.word, self.base(ids))

    @property
    def weight(self) -> Tensor:
        """Asked for its dtype by transformers."""
        return self.base.weight

    def merged(self) -> nn.Embedding:
        self.base.weight.data[self.token] = self.word.data
        return self.base
