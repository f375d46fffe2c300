"""A view classifier that needs no training because it knows the truth: for prompts about toys with a front only."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import interpolate, max_pool2d, pad

from data.directions import wrapped_degrees
from data.errors import UserError
from data.toybox.grammar import ONE_FRONT, Toy, build, has_front
from data.toybox.parts import Part, turn_about_z
from data.toybox.raycast import LIGHT, render
from metrics.janus import janus_cameras
from metrics.toybox_truth import toy_of

COARSE, SHIFT = 32, 1  # pixels
WITHIN = 45.5  # degrees, half of one for rounding; a front is seen from there
VISIBLE = 0.02  # difference of colours
STEEPNESS = 5.0  # of P(front) in the difference of the distances
SIDES = (0, 180, 90, 270)  # degrees; where a face may be
Solids = Callable[[Sequence[int]], list[Part]]  # of an object that has its front on these sides, see grammar.build
LIGHTS = (0, 90, 180, 270)  # degrees; the back of an object is darker than its front, also where it has a second one


def fronted_toy(prompt: str) -> Toy | None:
    """The toy that the prompt means if it has a front, otherwise None."""
    toy = toy_of(prompt)
    return toy if toy and has_front(toy.kind) else None


class TrueViews:
    """Compares a picture with renders that show a front, of the true toy from within 45 degrees, and of the same with a
    second face at the back or on a side, and with renders that show none. P(front) = sigmoid(5 (d_other - d_front) / s)
    of the squared distances of the nearest ones, with s the energy of a front, what it changes in the view from ahead.
    What else is off about an object, its blur or its colours, adds to both distances, and is gone from the difference.

    Only the pixels count in which any of those fronts shows.

    solids: of an object that no caption means; then the prompts tell nothing. None: of the toy that the prompt means.
    """

    def __init__(self, solids: Solids | None = None) -> None:
        self.solids = solids

    def p_front(self, images: Float[Tensor, "b h w 3"], prompt: str) -> Float[Tensor, "b"]:
        truth = _truth(self.solids or _of_toy(prompt), images.shape[1])
        nearest = lambda views: distances(_coarse(images), views, truth.where).amin(dim=1)
        return torch.sigmoid(STEEPNESS * (nearest(truth.others) - nearest(truth.fronts)) / truth.energy)


@dataclass(frozen=True)
class Truth:
    """Renders in each of the LIGHTS."""

    fronts: Float[Tensor, "f 3 s s"]
    others: Float[Tensor, "o 3 s s"]
    where: Bool[Tensor, "s s"]
    energy: Float[Tensor, ""]


@lru_cache(maxsize=4)
def _of_toy(prompt: str) -> Solids:
    toy = fronted_toy(prompt)
    if toy is None:
        raise UserError(f'prompt="{prompt}" is about no toy with a front; its true views tell nothing')
    return lambda fronts: build(toy, fronts=fronts)


@lru_cache(maxsize=4)
def _truth(solids: Solids, size: int) -> Truth:
    cameras = janus_cameras(size)
    faces = {side: wrapped_degrees(cameras.azimuth - math.radians(side)).abs() < WITHIN for side in SIDES}
    draw = lambda light, fronts: _coarse(render(solids(fronts), cameras, light=turn_about_z(light) @ LIGHT)[..., :3])
    fronts, others, changed = [], [], []
    for light in LIGHTS:
        one, faceless = draw(light, ONE_FRONT), draw(light, ())
        fronts.append(one[faces[0]])
        others += [one[~faces[0]], faceless]
        changed.append((one - faceless)[faces[0]])
        for side in SIDES[1:]:
            two = draw(light, (*ONE_FRONT, side))[faces[side]]
            fronts.append(two)
            changed.append(two - one[faces[side]])
    differs = (torch.cat(changed).abs() > VISIBLE).any(dim=1).any(dim=0)
    where = max_pool2d(differs.float()[None, None], 3, 1, 1)[0, 0] > 0  # and one pixel around
    ahead = changed[0][cameras.azimuth[faces[0]] == 0]
    return Truth(torch.cat(fronts), torch.cat(others), where, ahead.square().sum(dim=(1, 2, 3)).mean())


def distances(
    images: Float[Tensor, "b 3 h w"], views: Float[Tensor, "u 3 h w"], where: Bool[Tensor, "h w"]
) -> Float[Tensor, "b u"]:
    """Squared distance there of each picture to each view, wherever within SHIFT pixels that stands."""
    height, width = where.shape
    padded, seen = pad(views, [SHIFT] * 4, mode="replicate"), images[..., where].flatten(1)
    best = torch.full((len(images), len(views)), torch.inf)
    for dy in range(2 * SHIFT + 1):
        for dx in range(2 * SHIFT + 1):
            shifted = padded[:, :, dy : dy + height, dx : dx + width][..., where].flatten(1)
            best = torch.minimum(best, torch.cdist(seen, shifted))
    return best.square()


def _coarse(images: Float[Tensor, "b h w 3"]) -> Float[Tensor, "b 3 s s"]:
    return interpolate(images.movedim(-1, 1), (COARSE, COARSE), mode="area")
