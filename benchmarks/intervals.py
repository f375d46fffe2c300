"""How wide the intervals of FID and KID are, against how far redraws lie apart: python -m benchmarks.intervals

Toys of held-out captions, four views each, by 48 features: the mean colours of 4 x 4 fields. `perfect`: drawn as the
reference is; `colours`: of weaker colours, a little too bright; `wrong`: every tenth is another toy. Redrawn are their
shapes ("same captions"), or the captions and the reference, too ("other captions"): what their spread takes to hold 95
of 100 stands beside what the intervals have.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from statistics import NormalDist

import torch
from jaxtyping import Float
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor
from torch.nn.functional import interpolate

from data.samplers import turntable
from data.toybox.body import draw_style
from data.toybox.captions import parse
from data.toybox.grammar import KINDS, build, draw_toy
from data.toybox.held_out_captions import held_out_captions
from data.toybox.raycast import render
from metrics.image_set import ImageSet
from systems.rng import step_generator
from systems.torchvision_shim import define_missing_ops

define_missing_ops()  # before torchmetrics is imported
from metrics.distribution import fid, kid  # noqa: E402
from metrics.jackknife import Estimate  # noqa: E402

CAMERAS = turntable(4, 16)
FIELDS, SCALE = 4, 10.0  # features of 0 to 10
Look = Callable[[Float[Tensor, "b h w 3"]], Float[Tensor, "b h w 3"]]
SETS: dict[str, tuple[Look, float]] = {  # what it does to the views, and how many are of another toy
    "perfect": (lambda views: views, 0.0),
    "colours": (lambda views: 0.53 + torch.tensor([0.9, 0.7, 0.8]) * (views - 0.5), 0.0),
    "wrong": (lambda views: views, 0.1),
}


def shown(captions: Sequence[str], seed: int, look: Look = SETS["perfect"][0], wrong: float = 0.0) -> ImageSet:
    objects = []
    for i, text in enumerate(captions):
        rng = step_generator(seed, i)
        style, is_wrong = draw_style(rng), torch.rand((), generator=rng).item() < wrong
        toy = draw_toy(rng, list(KINDS)) if is_wrong else parse(text)
        views = look(render(build(toy, style), CAMERAS, supersampling=1)[..., :3])
        objects.append(SCALE * interpolate(views.movedim(-1, 1), (FIELDS, FIELDS), mode="area").flatten(1))
    features = torch.stack(objects).double()
    return ImageSet("colours", features, features)


def width(estimates: Sequence[Estimate]) -> float:
    """Of an interval around the value that holds 95 of 100 redraws."""
    return 2 * NormalDist().inv_cdf(0.975) * torch.tensor([one.value for one in estimates]).double().std().item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--captions", type=int, default=200)
    parser.add_argument("--redraws", type=int, default=24)
    args = parser.parse_args()
    captions = [held_out_captions(args.captions, step_generator(seed, 0)) for seed in range(args.redraws + 1)]
    references = [shown(said, 1000 + seed) for seed, said in enumerate(captions)]
    table = Table("set", "", "mean", "limit", "width: same captions", "other captions", "interval (root mean square)")
    for name, (look, wrong) in SETS.items():
        pairs: dict[str, list[tuple[ImageSet, ImageSet]]] = {"same": [], "other": []}
        for seed in track(range(1, args.redraws + 1), description=name, transient=True):
            pairs["same"].append((shown(captions[0], seed, look, wrong), references[0]))
            pairs["other"].append((shown(captions[seed], seed, look, wrong), references[seed]))
        for measure in (fid, kid):
            found = {key: [measure(*pair, same_captions=True) for pair in some] for key, some in pairs.items()}
            value, limit, reach = torch.tensor(
                [[one.value, one.limit, one.interval.high - one.interval.low] for one in found["other"]]
            ).unbind(dim=1)
            said = (
                value.mean(),
                limit.mean(),
                width(found["same"]),
                width(found["other"]),
                reach.square().mean().sqrt(),
            )
            table.add_row(name, measure.__name__, *(f"{float(number):.3g}" for number in said))
    Console(width=120).print(f"{args.captions} captions, {args.redraws} redraws", table)


if __name__ == "__main__":
    main()
