"""A view classifier that needs no training because it knows the truth: for prompts about toys with a front only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import interpolate, max_pool2d, pad

from data.directions import FRONT, direction
from data.errors import UserError
from data.toybox.grammar import ONE_FRONT, Toy, build, has_front
from data.toybox.parts import Part, turn_about_z
from data.toybox.raycast import LIGHT, render
from metrics.janus import janus_cameras
from metrics.toybox_truth import toy_of

COARSE, SHIFT = 32, 1  # pixels
NEARER = 1 / 16  # of the picture's size, cut off at each edge: a side is farther away than the front of a long body
VISIBLE = 0.02  # difference of colours
Solids = Callable[[Sequence[int]], list[Part]]  # of an object that has its front on these sides, see grammar.build
LIGHTS = (0, 90, 180, 270)  # degrees; the back of an object is darker than its front, also where it has a second one


def fronted_toy(prompt: str) -> Toy | None:
    """The toy that the prompt means if it has a front, otherwise None."""
    toy = toy_of(prompt)
    return toy if toy and has_front(toy.kind) else None


class TrueViews:
    """Compares a picture with all views of the true toy, in light from any side: is the nearest one a view from within
    45 degrees of the front? p = d_other / (d_front + d_other), of the mean squared errors of the nearest ones.

    Only the pixels count in which the view from straight ahead shows what the front alone has: a long body remains
    one, also with a face on its side.

    solids: of an object that no caption means; then the prompts tell nothing. None: of the toy that the prompt means.
    """

    def __init__(self, solids: Solids | None = None) -> None:
        self.solids = solids

    def p_front(self, images: Float[Tensor, "b h w 3"], prompt: str) -> Float[Tensor, "b"]:
        truth = _truth(self.solids or _of_toy(prompt), images.shape[1])
        true, margin = truth.views.flatten(0, 1), round(NEARER * images.shape[1])
        nearer = images[:, margin : images.shape[1] - margin, margin : images.shape[2] - margin]
        error = torch.minimum(*(distances(_coarse(seen), true, truth.where) for seen in (images, nearer)))
        nearest = error.unflatten(1, truth.views.shape[:2]).amin(dim=1)
        near_front, near_other = nearest[:, truth.is_front].amin(dim=1), nearest[:, ~truth.is_front].amin(dim=1)
        return near_other / (near_front + near_other).clamp(min=1e-9)


@dataclass(frozen=True)
class Truth:
    views: Float[Tensor, "l u 3 s s"]  # in each of the LIGHTS, from everywhere
    is_front: Bool[Tensor, "u"]
    where: Bool[Tensor, "s s"]


@lru_cache(maxsize=4)
def _of_toy(prompt: str) -> Solids:
    toy = fronted_toy(prompt)
    if toy is None:
        raise UserError(f'prompt="{prompt}" is about no toy with a front; its true views tell nothing')
    return lambda fronts: build(toy, fronts=fronts)


@lru_cache(maxsize=4)
def _truth(solids: Solids, size: int) -> Truth:
    cameras = janus_cameras(size)
    toward = lambda azimuth: turn_about_z(azimuth) @ LIGHT
    draw = lambda light, fronts: _coarse(render(solids(fronts), cameras, light=toward(light))[..., :3])
    views, faceless = torch.stack([draw(light, ONE_FRONT) for light in LIGHTS]), draw(LIGHTS[0], ())
    ahead = cameras.azimuth == 0
    differs = ((views[0] - faceless)[ahead].abs() > VISIBLE).any(dim=1).any(dim=0)
    around = max_pool2d(differs.float()[None, None], 3, 1, 1)[0, 0] > 0  # and one pixel around
    return Truth(views, direction(cameras.azimuth, cameras.elevation) == FRONT, around)


def distances(
    images: Float[Tensor, "b 3 h w"], true: Float[Tensor, "u 3 h w"], where: Bool[Tensor, "h w"]
) -> Float[Tensor, "b u"]:
    """Mean squared error there of each picture to each true one, wherever within SHIFT pixels that stands."""
    height, width = where.shape
    padded, seen = pad(true, [SHIFT] * 4, mode="replicate"), images[..., where].flatten(1)
    best = torch.full((len(images), len(true)), torch.inf)
    for dy in range(2 * SHIFT + 1):
        for dx in range(2 * SHIFT + 1):
            shifted = padded[:, :, dy : dy + height, dx : dx + width][..., where].flatten(1)
            best = torch.minimum(best, torch.cdist(seen, shifted))
    return best.square() / seen.shape[1]


def _coarse(images: Float[Tensor, "b h w 3"]) -> Float[Tensor, "b 3 s s"]:
    return interpolate(images.movedim(-1, 1), (COARSE, COARSE), mode="area")
