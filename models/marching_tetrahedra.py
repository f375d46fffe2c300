"""Where a signed distance that is given at the corners of tetrahedra crosses zero (Shen et al. 2021, DMTet)."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import embedding

from models.triangles import Triangles

NUDGE = 1e-5  # a corner nearer than this to the surface stands this far from it, so that no triangle shrinks to a point

# By which corners are inside (bit i: corner i): the corners in an order that makes the cases alike. One corner alone on
# its side comes first; of two and two, those inside come first. The order keeps the tetrahedron's orientation, or, with
# one corner outside, reverses it: then the triangle through the first corner's edges looks outward in all cases.
ORDER = (
    (0, 1, 2, 3), (0, 1, 2, 3), (1, 0, 3, 2), (0, 1, 2, 3), (2, 0, 1, 3), (0, 2, 3, 1), (1, 2, 0, 3), (3, 0, 1, 2),
    (3, 0, 2, 1), (0, 3, 1, 2), (1, 3, 2, 0), (2, 0, 3, 1), (2, 3, 0, 1), (1, 0, 2, 3), (0, 1, 3, 2), (0, 1, 2, 3),
)  # fmt: skip
N_INSIDE = (0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4)
TRIANGLE = ((0, 1), (0, 2), (0, 3))  # the edges that are cut, counter-clockwise seen from outside
QUAD = ((0, 2), (0, 3), (1, 3), (0, 2), (1, 3), (1, 2))  # two triangles


def marching_tetrahedra(vertices: Float[Tensor, "v 3"], sdf: Float[Tensor, "v"], tets: Int[Tensor, "t 4"]) -> Triangles:
    """The surface, negative inside, faces outward; differentiable in `vertices` and `sdf`. Zero counts as outside.

    An edge that changes sign is cut at the zero of the line through its ends' distances. Neighbouring tetrahedra share
    that point: the surface is closed wherever it does not leave the grid. tets: positively oriented.
    """
    sdf = _off_zero(sdf)
    case = _cases(sdf.detach() < 0, tets)
    cut = ((case > 0) & (case < 15)).nonzero()[:, 0]
    case = case[cut].long()
    corners = tets[cut].gather(1, torch.tensor(ORDER, device=tets.device)[case])
    two = torch.tensor(N_INSIDE, device=tets.device)[case] == 2
    ends = torch.cat([corners[~two][:, TRIANGLE].flatten(0, 1), corners[two][:, QUAD].flatten(0, 1)]).sort(dim=1)[0]
    code, faces = torch.unique(ends[:, 0] * len(vertices) + ends[:, 1], return_inverse=True)
    a, b = code // len(vertices), code % len(vertices)
    at_a, at_b = embedding(a, sdf[:, None]), embedding(b, sdf[:, None])  # rather than sdf[a]: its gradient is exact
    return Triangles(
        torch.lerp(embedding(a, vertices), embedding(b, vertices), at_a / (at_a - at_b)), faces.view(-1, 3)
    )


def _off_zero(sdf: Float[Tensor, "v"]) -> Float[Tensor, "v"]:
    """Where |sdf| < NUDGE, +-NUDGE; the gradient is as if nothing had been done."""
    moved = torch.where(sdf < 0, sdf.clamp(max=-NUDGE), sdf.clamp(min=NUDGE))
    return sdf + (moved - sdf).detach()


def _cases(inside: Tensor, tets: Int[Tensor, "t 4"]) -> Tensor:
    """Which corners are inside, as the bits of a number."""
    bit = inside.to(torch.uint8)
    case = bit.index_select(0, tets[:, 3])
    for corner in (2, 1, 0):
        case = case.mul_(2).add_(bit.index_select(0, tets[:, corner]))
    return case
