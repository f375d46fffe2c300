"""Contact sheets: one row a toy, seen from around. `python -m data.toybox.sheets toys.png`"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from data.samplers import turntable
from data.toybox.captions import parse
from data.toybox.grammar import ACCESSORIES, CREATURES, KINDS, ONE_FRONT, Toy, Worn, build, has_front
from data.toybox.raycast import render
from data.toybox.split import HELD_OUT


def contact_sheet(
    toys: Sequence[Toy], n_view: int = 4, size: int = 128, fronts: Sequence[int] = ONE_FRONT
) -> Float[Tensor, "h w 3"]:
    """The toys from the front, their left side, the back, the right side."""
    cameras = turntable(n_view, size)
    rows = [torch.cat(list(render(build(toy, fronts=fronts), cameras)[..., :3]), dim=1) for toy in toys]
    return torch.cat(rows, dim=0)


def every_kind() -> list[Toy]:
    """Each kind in its own colour, the creatures wearing the accessories in turn."""
    items = list(ACCESSORIES)
    worn = {kind: (Worn(items[i % len(items)], "purple"),) for i, kind in enumerate(k for k in KINDS if k in CREATURES)}
    return [Toy(kind, color, worn.get(kind, ())) for kind, (_, color) in KINDS.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw the toys of the toybox.")
    parser.add_argument("out", help="the PNG to write")
    parser.add_argument(
        "--captions", nargs="*", help="captions to draw; default: every kind; `heldout`: the held-out ones"
    )
    parser.add_argument("--size", type=int, default=96, help="pixels per view")
    parser.add_argument("--columns", type=int, default=3, help="toys side by side")
    parser.add_argument(
        "--fronts", nargs="+", type=int, default=ONE_FRONT, help="azimuths that have a face: 0 180 draws Janus toys"
    )
    parser.add_argument("--views", type=int, default=4, help="views per toy")
    args = parser.parse_args()
    captions = HELD_OUT if args.captions == ["heldout"] else args.captions
    toys = [parse(text) for text in captions] if captions else every_kind()
    if len(args.fronts) > 1:
        toys = [toy for toy in toys if has_front(toy.kind)]
    rows = -(-len(toys) // args.columns)
    sheets = [contact_sheet(toys[i : i + rows], args.views, args.size, args.fronts) for i in range(0, len(toys), rows)]
    sheets = [
        torch.nn.functional.pad(s, (0, 0, 0, 0, 0, rows * args.size - s.shape[0]), value=0.5) for s in sheets if len(s)
    ]
    Image.fromarray((torch.cat(sheets, dim=1) * 255).round().byte().numpy()).save(args.out)


if __name__ == "__main__":
    main()
