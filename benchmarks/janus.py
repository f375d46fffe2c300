"""How often the Janus metric is wrong about objects of which one knows: python -m benchmarks.janus

True toys, where a second front is a false alarm, and Janus toys, whose front is also at the back, on a side or all
around, where one front or none is a miss; as they are ("sharp"), blurred, noisy, off in colour and place like
distilled objects ("distilled"), and much more so, also smeared around, like those of poor guidance ("crude"). The rule
is chosen on some toys, and the error rates, with 95 % Wilson intervals, are those on others: as many such toys
("test"), and those that a trained classifier never saw ("held_out"), as the prompts of evaluations are. Both are
written to where the metric looks for its rule.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from rich.console import Console
from rich.table import Table
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn.functional import avg_pool2d

from data.errors import FailedError
from data.toybox.body import draw_style
from data.toybox.captions import caption, parse
from data.toybox.grammar import CREATURES, KINDS, ONE_FRONT, Toy, build, draw_toy, has_front
from data.toybox.held_out_captions import with_one_more
from data.toybox.raycast import render
from data.toybox.split import held_out
from metrics.intervals import wilson
from metrics.janus import ELEVATIONS, N_AZIMUTHS, Rule, ViewClassifier, front_arcs, janus_cameras, rule_file
from metrics.true_views import TrueViews
from systems.torchvision_shim import define_missing_ops

SIDES = {"true": [ONE_FRONT], "back": [(0, 180)], "side": [(0, 90), (0, 270)], "around": [(0, 90, 180, 270)]}
LOOKS = ("sharp", "distilled", "crude")
THRESHOLDS = [0.06 + 0.02 * i for i in range(38)]  # the margin below the first is above 0
WIDEST = (105.0, 120.0, 135.0, 150.0, 165.0, 180.0, 195.0, 210.0, 225.0)
CONTRASTS = (1.0, 0.4, 0.3, 0.2, 0.15, 0.1)  # 1: the level is never but the threshold; of equals, the first
SIZE = 64


@dataclass(frozen=True)
class Case:
    kind: str
    sides: str  # of SIDES
    look: str  # of LOOKS
    p_front: Float[Tensor, "e a"]

    def is_wrong(self, rule: Rule) -> bool:
        return (front_arcs(self.p_front, rule) >= 2) != (self.sides != "true")


def named(classifier: str) -> tuple[str, ViewClassifier]:
    """`true_views`, or the CLIP in a folder; and its name in figures."""
    if classifier == "true_views":
        return classifier, TrueViews()
    define_missing_ops()  # before transformers is imported
    from metrics.clip import Clip
    from metrics.views import ClipViews

    clip = Clip(classifier)
    return clip.name, ClipViews(clip)


def draw_toys(kinds: Sequence[str], n: int, rng: torch.Generator, other_than: Sequence[Toy] = ()) -> list[Toy]:
    """n different ones of each kind; there are but ten of those that wear nothing."""
    toys: list[Toy] = []
    for kind in kinds:
        while sum(toy.kind == kind for toy in toys) < n:
            toy = draw_toy(rng, [kind])
            if toy not in toys and toy not in other_than:
                toys.append(toy)
    return toys


def draw_held_out_toys(kinds: Sequence[str], n: int, rng: torch.Generator, other_than: Sequence[Toy] = ()) -> list[Toy]:
    """Of each held-out combination of these kinds itself and, for a creature, with one thing more, n different ones."""
    toys: list[Toy] = []
    for plain in map(parse, held_out(kinds)):
        own = [plain]
        while plain.kind in CREATURES and len(own) < n:
            if (more := with_one_more(plain, rng)) not in own:
                own.append(more)
        toys += own
    return [toy for toy in toys if toy not in other_than]


def looked_at(toys: Sequence[Toy], classifier: ViewClassifier, rng: torch.Generator) -> list[Case]:
    """Each toy on all SIDES and in all LOOKS, its shape varied; the prompt means the toy without variation."""
    cases, cameras = [], janus_cameras(SIZE)
    for i, toy in enumerate(toys):
        style = draw_style(rng)
        for sides, choices in SIDES.items():
            sharp = render(build(toy, style, choices[i % len(choices)]), cameras)[..., :3]
            for look, images in zip(LOOKS, (sharp, distilled(sharp, rng), crude(sharp, rng)), strict=True):
                p = classifier.p_front(images, caption(toy))
                cases.append(Case(toy.kind, sides, look, p.unflatten(0, (len(ELEVATIONS), N_AZIMUTHS))))
    return cases


def distilled(images: Float[Tensor, "b h w 3"], rng: torch.Generator) -> Float[Tensor, "b h w 3"]:
    """Blurred by 0.7 to 1.6 pixels, a pixel up or down, colours scaled by about 8 % and noise of 0.03."""
    sigma = 0.7 + 0.9 * torch.rand((), generator=rng).item()
    blurred = torch.from_numpy(gaussian_filter(images.numpy(), (0, sigma, sigma, 0), mode="nearest"))
    moved = blurred.roll(int(torch.randint(-1, 2, (), generator=rng)), dims=1)
    gain = 1 + 0.08 * torch.randn(3, generator=rng)
    return (0.5 + gain * (moved - 0.5) + 0.03 * torch.randn(images.shape, generator=rng)).clamp(0, 1)


def crude(images: Float[Tensor, "b h w 3"], rng: torch.Generator) -> Float[Tensor, "b h w 3"]:
    """Blurred by 1.5 to 3 pixels and, around the object, by 8 to 30 degrees, up to three pixels up or down and one
    aside, of half to all of the contrast, colours scaled by about 15 %, noise of 0.05."""
    uniform = lambda low, high: low + (high - low) * torch.rand((), generator=rng).item()
    sigma, around = uniform(1.5, 3.0), uniform(0.5, 2.0)
    rings = images.unflatten(0, (-1, N_AZIMUTHS)).numpy()
    modes = ("nearest", "wrap", "nearest", "nearest", "nearest")
    blurred = torch.from_numpy(gaussian_filter(rings, (0, around, sigma, sigma, 0), mode=modes)).flatten(0, 1)
    by = [int(torch.randint(-reach, reach + 1, (), generator=rng)) for reach in (3, 1)]
    gain = uniform(0.5, 1.0) * (1 + 0.15 * torch.randn(3, generator=rng))
    moved = blurred.roll(by, dims=(1, 2))
    return (0.5 + gain * (moved - 0.5) + 0.05 * torch.randn(images.shape, generator=rng)).clamp(0, 1)


def choose_rule(cases: Sequence[Case]) -> Rule:
    """The least sum of false alarm and miss rate, in the mean over a rule and those beside it: the middle of a valley
    is as good on other toys, its edge may not be. Where the least is at the end of what was searched, nobody knows."""
    true, janus = (of(cases, lambda case, truth=truth: (case.sides == "true") == truth) for truth in (True, False))
    error = lambda rule: errors_of(true, rule) / len(true) + errors_of(janus, rule) / len(janus)
    rules = [[[Rule(t, widest=w, contrast=c) for w in WIDEST] for t in THRESHOLDS] for c in CONTRASTS]
    errors = torch.tensor([[[error(rule) for rule in row] for row in plane] for plane in rules])
    around = avg_pool2d(errors, (5, 3), 1, (2, 1), count_include_pad=False)
    plane, place = divmod(int(around.argmin()), around[0].numel())
    row, column = divmod(place, len(WIDEST))
    if row in (0, len(THRESHOLDS) - 1) or column in (0, len(WIDEST) - 1):
        found = f"threshold {THRESHOLDS[row]:.2f} and width {WIDEST[column]:g}"
        raise FailedError(f"the best rule has {found}, the end of THRESHOLDS or of WIDEST: search farther")
    return replace(rules[plane][row][column], threshold=round(THRESHOLDS[row], 2))


def of(cases: Sequence[Case], belongs: Callable[[Case], bool]) -> list[Case]:
    return [case for case in cases if belongs(case)]


def errors_of(cases: Sequence[Case], rule: Rule) -> int:
    return sum(case.is_wrong(rule) for case in cases)


def rate(cases: Sequence[Case], rule: Rule) -> dict[str, float]:
    wrong, n = errors_of(cases, rule), len(cases)
    interval = wilson(wrong, n)
    return {"wrong": wrong, "of": n, "low": round(interval.low, 4), "high": round(interval.high, 4)}


def measured(cases: Sequence[Case], rule: Rule) -> dict[str, dict[str, dict[str, float]]]:
    """By look: the false alarms and the misses by side. All together they are no independent trials: each toy has
    three."""
    result = {}
    for look in LOOKS:
        seen = of(cases, lambda case, look=look: case.look == look)
        by_side = {sides: rate(of(seen, lambda case, s=sides: case.sides == s), rule) for sides in SIDES}
        misses = {f"misses_{sides}": one for sides, one in by_side.items() if sides != "true"}
        result[look] = {"false_alarms": by_side["true"], **misses}
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classifier", default="true_views", help="true_views, or the folder of a CLIP")
    parser.add_argument("--toys", type=int, default=5, choices=range(1, 6), help="of each kind, in each of two splits")
    parser.add_argument("--kinds", type=int, default=len(KINDS), help="the first so many kinds, those with a front")
    parser.add_argument("--out", type=Path, help="the JSON to write; default: that of the classifier in metrics/")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    kinds = [kind for kind in list(KINDS)[: args.kinds] if has_front(kind)]
    rng, (name, classifier) = torch.Generator().manual_seed(args.seed), named(args.classifier)
    calibration = draw_toys(kinds, args.toys, rng)
    test = draw_toys(kinds, args.toys, rng, other_than=calibration)
    seen = looked_at(calibration, classifier, rng)
    rule = choose_rule(seen)
    cases = {"calibration": seen, "test": looked_at(test, classifier, rng)}
    unseen = draw_held_out_toys(kinds, args.toys, rng, other_than=calibration)
    cases["held_out"] = looked_at(unseen, classifier, rng)
    counts = {"calibration": len(calibration), "test": len(test), "held_out": len(unseen)}
    result = {split: measured(some, rule) for split, some in cases.items()}
    written = {"rule": asdict(rule), "toys": {**counts, "kinds": kinds}, **result}
    (args.out or rule_file(name)).write_text(json.dumps(written, indent=2) + "\n")
    Console().print(rule)
    for split in ("test", "held_out"):
        Console().print(as_table(split, result[split]), by_kind(cases[split], rule))


def as_table(split: str, result: dict[str, dict[str, dict[str, float]]]) -> Table:
    table = Table(split, *LOOKS)
    cell = lambda r: f"{r['wrong']} of {r['of']} ({100 * r['low']:.1f} to {100 * r['high']:.1f} %)"
    for name in result[LOOKS[0]]:
        table.add_row(name, *(cell(result[look][name]) for look in LOOKS))
    return table


def by_kind(cases: Sequence[Case], rule: Rule) -> Table:
    """The kinds that the rule is wrong about, by what they are and how they look."""
    table = Table("wrong", *(f"{sides} {look}" for look in LOOKS for sides in SIDES))
    for kind in dict.fromkeys(case.kind for case in cases):
        own = of(cases, lambda case, kind=kind: case.kind == kind)
        groups = [of(own, lambda c, s=s, look=look: (c.sides, c.look) == (s, look)) for look in LOOKS for s in SIDES]
        wrong = [errors_of(group, rule) for group in groups]
        if any(wrong):
            table.add_row(kind, *(f"{n} of {len(group)}" if n else "" for n, group in zip(wrong, groups, strict=True)))
    return table


if __name__ == "__main__":
    main()
