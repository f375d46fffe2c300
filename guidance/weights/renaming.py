"""The same weights under two names: those of the original code, and those of diffusers and transformers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Link:
    """A module or a tensor of the original, and what it is called here.

    ours: several where the original stacks them along its first axis.
    pointwise: a 1x1 convolution in the original, a linear layer here.
    """

    original: str
    ours: tuple[str, ...]
    pointwise: bool = False


class Renaming:
    """A bijection: what `split` takes apart, `restore` puts together, byte by byte."""

    def __init__(self, links: Iterable[Link]) -> None:
        links = list(links)
        self._by_original = {link.original: link for link in links}
        self._by_ours = {name: link for link in links for name in link.ours}
        assert len(self._by_original) == len(links), "two links from one original name"
        assert len(self._by_ours) == sum(len(link.ours) for link in links), "two links to one name of ours"

    def split(self, originals: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Tensors (views, nothing is copied) under our names; and, under their own, those that have none here."""
        ours: dict[str, Tensor] = {}
        rest: dict[str, Tensor] = {}
        for name, tensor in originals.items():
            link, tail = _longest(name, self._by_original)
            if link is None:
                rest[name] = tensor
                continue
            flat = tensor.flatten(1) if link.pointwise and tensor.ndim == 4 else tensor
            pieces = [flat] if len(link.ours) == 1 else flat.chunk(len(link.ours))
            ours |= {beginning + tail: piece for beginning, piece in zip(link.ours, pieces, strict=True)}
        return ours, rest

    def restore(self, ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Raises ValueError for a tensor that the original does not have, or has in part only."""
        originals: dict[str, Tensor] = {}
        for name in ours:
            link, tail = _longest(name, self._by_ours)
            if link is None:
                raise ValueError(f"the original has no {name}")
            if link.original + tail in originals:
                continue
            lacking = [beginning + tail for beginning in link.ours if beginning + tail not in ours]
            if lacking:
                raise ValueError(f"it lacks {', '.join(lacking)}")
            pieces = [ours[beginning + tail] for beginning in link.ours]
            tensor = pieces[0] if len(pieces) == 1 else torch.cat(pieces)
            is_pointwise = link.pointwise and tensor.ndim == 2
            originals[link.original + tail] = tensor[:, :, None, None] if is_pointwise else tensor
        return originals

    def original_name(self, name: str) -> str:
        """Where a tensor of ours comes from."""
        link, tail = _longest(name, self._by_ours)
        return name if link is None else link.original + tail


def _longest(name: str, table: Mapping[str, Link]) -> tuple[Link | None, str]:
    """The link of the longest dotted beginning of a name that has one, and the remainder of the name."""
    beginning = name
    while beginning not in table:
        beginning, dot, _ = beginning.rpartition(".")
        if not dot:
            return None, ""
    return table[beginning], name[len(beginning) :]
