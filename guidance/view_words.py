"""What is said about a view beside the prompt."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from data.cameras import Cameras


@runtime_checkable
class ViewWords(Protocol):
    def sentences(self, prompt: str) -> list[str]:
        """All k that may be needed; they are encoded once."""
        ...

    def at(
        self, texts: Float[Tensor, "k l d"], cameras: Cameras
    ) -> tuple[Float[Tensor, "b l d"], list[tuple[Float[Tensor, "b l d"], Float[Tensor, "b"]]]]:
        """From their embeddings, what each view shall show, and what it shall not, with a weight (Perp-Neg)."""
        ...


class SameWords:
    """The prompt, whatever the view: a multi-view prior sees the camera itself."""

    def sentences(self, prompt: str) -> list[str]:
        return [prompt]

    def at(
        self, texts: Float[Tensor, "k l d"], cameras: Cameras
    ) -> tuple[Float[Tensor, "b l d"], list[tuple[Float[Tensor, "b l d"], Float[Tensor, "b"]]]]:
        return texts.expand(len(cameras), -1, -1), []
