"""Nested tables in a configuration, whose paths are names: `geometry: {encoding: 0.01}` means `geometry.encoding`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar, cast

T = TypeVar("T")
Tree = Mapping[str, T | Mapping]


def flatten(tree: Tree[T]) -> dict[str, T]:
    """The leaves by their dotted paths."""
    leaves: dict[str, T] = {}
    for key, child in tree.items():
        if isinstance(child, Mapping):
            leaves |= {f"{key}.{path}": leaf for path, leaf in flatten(cast(Tree[T], child)).items()}
        else:
            leaves[key] = child
    return leaves
