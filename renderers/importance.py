"""Samples where the light is stopped (Mildenhall et al. 2020, NeRF, sec. 5.2), for rays of packed segments."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from data.share import WHOLE, Share
from renderers.marching import Segments

EVEN = 0.5  # the share of samples that goes by length, not by weight


def resample(
    weight: Float[Tensor, "s"],
    segments: Segments,
    n: int,
    rng: torch.Generator | None = None,
    share: Share = WHOLE,
) -> Segments:
    """n segments for each ray that has any weight, in place of those it came with.

    They cut what the ray's segments cover, gaps left out, into n parts of equal shares: of the weight, spread evenly
    over each segment, and, for the share EVEN, of the length, so that no part gets long where little is seen. Each is
    as long as its part, and stands in the middle of it, or anywhere in it at random (rng).
    """
    some = weight > 0
    segments, weight = segments[some], weight[some].double()
    rays, ray = torch.unique_consecutive(segments.ray, return_inverse=True)
    length = (segments.t_end - segments.t_start).double()
    shares = (1 - EVEN) * _share(weight, ray) + EVEN * _share(length, ray)
    cuts = torch.linspace(0, 1, n + 1, device=weight.device, dtype=torch.double).expand(len(rays), -1)
    segment, inside = _find(cuts, ray, shares)
    cuts = _before(length, ray)[segment] + inside * length[segment]  # now as lengths along what is covered

    drawn = torch.full((len(rays), n), 0.5)
    if rng is not None:
        drawn = share.draw(len(rays), n, rng, weight.device)
    part = cuts.diff(dim=1)
    places = (cuts[:, :-1] + drawn.to(part) * part) / cuts[:, -1:]
    segment, inside = _find(places, ray, _share(length, ray))
    middle = (segments.t_start[segment] + inside * length[segment]).flatten()
    t_start, t_end = (middle + side * part.flatten() / 2 for side in (-1, 1))
    dtype = segments.t_start.dtype
    return Segments(rays.repeat_interleave(n), t_start.to(dtype), t_end.to(dtype), segments.n_rays)


def _before(values: Float[Tensor, "s"], ray: Int[Tensor, "s"]) -> Float[Tensor, "s"]:
    """Sums over the earlier segments of the same ray."""
    running = values.cumsum(dim=0) - values
    return running - running[torch.searchsorted(ray, ray)]


def _share(values: Float[Tensor, "s"], ray: Int[Tensor, "s"]) -> Float[Tensor, "s"]:
    """Of the sum over the segment's ray."""
    return values / torch.zeros_like(values).index_add(0, ray, values)[ray]


def _find(
    place: Float[Tensor, "j m"], ray: Int[Tensor, "s"], share: Float[Tensor, "s"]
) -> tuple[Int[Tensor, "j m"], Float[Tensor, "j m"]]:
    """The segment of ray j that holds each place in [0, 1], and where in the segment it is, in [0, 1]."""
    rays = torch.arange(len(place), device=ray.device)
    first, last = torch.searchsorted(ray, rays), torch.searchsorted(ray, rays, right=True) - 1
    place = place + rays[:, None]
    start = ray + _before(share, ray)  # ray j fills the interval from j to j + 1
    segment = torch.searchsorted(start, place, right=True) - 1
    segment = torch.minimum(torch.maximum(segment, first[:, None]), last[:, None])
    return segment, ((place - start[segment]) / share[segment]).clamp(0, 1)
