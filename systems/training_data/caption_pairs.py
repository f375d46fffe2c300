"""Pictures of toys beside captions that are true of them, and captions that are nearly true."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from data.directions import DIRECTIONS, OVERHEAD, direction
from data.toybox.captions import VIEW, draw_caption, parse
from data.toybox.grammar import Toy
from data.toybox.near_misses import near_miss
from systems.training_data.toy_pictures import ToyPictures

OVERHEAD_WORD = "overhead"
VIEW_WORDS = (*DIRECTIONS, OVERHEAD_WORD)
SAYS_NOTHING = -1
assert VIEW_WORDS[OVERHEAD] == OVERHEAD_WORD


@dataclass(frozen=True)
class Said:
    """A caption, and what has to be so for it to be true."""

    text: str
    toy: Toy
    view: int  # of VIEW_WORDS, or SAYS_NOTHING


@dataclass(frozen=True)
class PairBatch:
    images: Float[Tensor, "b h w 3"]
    texts: list[str]
    true: Bool[Tensor, "b m"]  # whether a text is true of an image


class CaptionPairs:
    """Draws objects with all of their pictures. Each object has one caption, as it is and with each of the view words,
    and `n_near_misses` captions of toys that differ from it by one thing."""

    def __init__(self, pictures: ToyPictures, n_near_misses: int = 2) -> None:
        self.pictures, self.n_near_misses = pictures, n_near_misses
        self.toys = [parse(text) for text in pictures.captions]
        seen = direction(pictures.azimuth.flatten(), pictures.elevation.flatten())
        self.seen = seen.reshape(pictures.azimuth.shape)

    def draw(self, n_objects: int, rng: torch.Generator) -> PairBatch:
        index = torch.randint(len(self.toys), (n_objects,), generator=rng).tolist()
        said = [one for i in index for one in self._captions(i, rng)]
        toys = [self.toys[i] for i in index]
        images = self.pictures.images[index].flatten(0, 1).float() / 255
        return PairBatch(images, [one.text for one in said], true_of(toys, self.seen[index], said))

    def _captions(self, i: int, rng: torch.Generator) -> list[Said]:
        toy, colorful = self.toys[i], bool(self.pictures.colorful[i])
        text = self._describe(toy, colorful, rng)
        said = [Said(text, toy, SAYS_NOTHING)]
        said += [Said(with_view(text, view), toy, view) for view in range(len(VIEW_WORDS))]
        for _ in range(self.n_near_misses):
            other = near_miss(toy, rng)
            view = int(torch.randint(SAYS_NOTHING, len(VIEW_WORDS), (), generator=rng))
            said.append(Said(with_view(self._describe(other, colorful, rng), view), other, view))
        return said

    def _describe(self, toy: Toy, colorful: bool, rng: torch.Generator) -> str:
        """Half of the captions before a random colour do not mention it."""
        mentioned = colorful and bool(torch.rand((), generator=rng) < 0.5)
        return draw_caption(toy, rng, mentioned)


def with_view(text: str, view: int) -> str:
    return text if view == SAYS_NOTHING else f"{text}, {VIEW_WORDS[view]} {VIEW}"


def true_of(toys: list[Toy], seen: Int[Tensor, "n v"], said: list[Said]) -> Bool[Tensor, "b m"]:
    """seen: the direction from which each picture shows its toy, "n v"."""
    same_toy = torch.tensor([[toy == one.toy for one in said] for toy in toys]).repeat_interleave(seen.shape[1], dim=0)
    view = torch.tensor([one.view for one in said])
    return same_toy & ((view == SAYS_NOTHING) | (view == seen.flatten()[:, None]))
