"""Toys that no training has drawn, each of its own kind with something that no caption says: subjects to personalise a
prior with. `python -m data.toybox.subjects FOLDER` takes their pictures."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from data.cameras import Cameras, look_at_origin
from data.toybox import parts
from data.toybox.body import Body, Style
from data.toybox.grammar import COLORS, KINDS, ONE_FRONT, Worn, assemble
from data.toybox.parts import Part, Vector, ball, box, ellipsoid, front, frustum, pair, rear
from data.toybox.raycast import BACKGROUND, render

AZIMUTHS = (-55.0, -15.0, 20.0, 60.0)  # degrees, of the pictures; the back is never seen
ELEVATIONS = (8.0, 25.0, 3.0, 16.0)
FOV, FRAMING = 40.0, 0.68


@dataclass(frozen=True)
class Subject:
    """alter: a body of `kind` and `color` to the one that is the subject's own."""

    kind: str
    color: str
    alter: Callable[[Body], Body]

    def build(self, worn: Sequence[Worn] = (), fronts: Sequence[int] = ONE_FRONT) -> list[Part]:
        kind, _ = KINDS[self.kind]
        return assemble(self.alter(kind(COLORS[self.color], Style())), worn, fronts=fronts)


def belted(body: Body) -> Body:
    """The dog: a broad blue belt around a yellow body, and blue ears. (Narrow stripes blur in 16 x 16 latents.)"""
    return replace(body, parts=[*(_in_blue(part) for part in body.parts), *_belt((-0.06, 0.0, -0.10), 0.30, 0.175)])


def _in_blue(part: Part) -> Part:
    """What is brown of a dog: its ears."""
    return replace(part, color=parts.BLUE) if part.color == parts.BROWN else part


def _belt(center: Vector, length: float, radius: float) -> list[Part]:
    """Around the middle of an ellipsoid that is round about x, just outside it."""
    (x, y, z), width = center, 0.55
    middle, end = 1.05 * radius, 1.05 * radius * math.sqrt(1 - width**2)
    halves = [(x + side * width * length, y, z) for side in (1, -1)]
    return [frustum(center, half, middle, parts.BLUE, end) for half in halves]


def propelled(body: Body) -> Body:
    """The duck: a red propeller on its purple head."""
    assert body.crown is not None and body.head is not None
    (x, y, z), _ = body.crown
    blades = [ellipsoid((x, y + side * 0.17, z + 0.15), (0.055, 0.16, 0.02), parts.RED) for side in (1, -1)]
    propeller = [
        frustum((x, y, z - 0.03), (x, y, z + 0.14), 0.025, parts.BLACK),
        ball((x, y, z + 0.16), 0.045, parts.RED),
    ]
    own = front(*propeller, *blades, axis=body.head.axis, inward=body.head.inward)
    return replace(body, parts=[*body.parts, *own], scale=0.9 * body.scale)


def winged(body: Body) -> Body:
    """The robot: its left half is pink, and it has yellow wings."""
    left = box((0, 0.09, -0.06), (0.25, 0.19, 0.37), parts.PINK)
    wing = [
        ellipsoid((-0.17, 0.24, 0.06), (0.03, 0.22, 0.10), parts.YELLOW),
        ball((-0.15, 0.06, 0.02), 0.05, parts.BLACK),
    ]
    return replace(body, parts=[*body.parts, left, *rear(*pair(*wing))])


SUBJECTS: Mapping[str, Subject] = {
    "dog": Subject("dog", "yellow", belted),
    "duck": Subject("duck", "purple", propelled),
    "robot": Subject("robot", "green", winged),
}


def pictures(subject: Subject, size: int) -> Float[Tensor, "b h w 4"]:
    """One from each of the AZIMUTHS, cut out: colour, not multiplied by the opacity, and opacity."""
    seen = render(subject.build(), cameras(size), supersampling=3)
    color, opacity = seen[..., :3], seen[..., 3:]
    own = (color - (1 - opacity) * BACKGROUND) / opacity.clamp(min=1e-6)
    return torch.cat([torch.where(opacity > 0, own, 0.0).clamp(0, 1), opacity], dim=-1)


def cameras(size: int) -> Cameras:
    azimuth, elevation = (torch.deg2rad(torch.tensor(degrees)) for degrees in (AZIMUTHS, ELEVATIONS))
    full = partial(torch.full, (len(AZIMUTHS),))
    fov = math.radians(FOV)
    return look_at_origin(azimuth, elevation, full(FRAMING / math.tan(fov / 2)), full(fov), size, size)


def write_pictures(folder: Path, subject: Subject, size: int = 256) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(pictures(subject, size)):
        Image.fromarray((image * 255).round().byte().numpy()).save(folder / f"{i}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description="Take pictures of the subjects, in a folder each.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=int, default=256, help="pixels")
    args = parser.parse_args()
    for name, subject in SUBJECTS.items():
        write_pictures(args.folder / name, subject, args.size)
        print(args.folder / name)


if __name__ == "__main__":
    main()
