"""How sharp renders are, against the true object seen from the same cameras."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import max_pool2d

EDGE = 0.08  # the least change of colour from a pixel to the next that counts as an edge of the true object
REACH = 3  # pixels around an edge in which its image may stand


def gradient_energy(images: Float[Tensor, "b h w 3"]) -> Float[Tensor, "b h-1 w-1"]:
    """|d image / dx|^2 + |d image / dy|^2 by differences of neighbouring pixels, summed over the colours."""
    down = images[:, 1:, :-1] - images[:, :-1, :-1]
    right = images[:, :-1, 1:] - images[:, :-1, :-1]
    return (down.square() + right.square()).sum(dim=-1)


def sharpness(images: Float[Tensor, "b h w 3"], true: Float[Tensor, "b h w 3"]) -> float:
    """Gradient energy near the true edges, as a share of the truth's: 1 is as sharp as the truth.

    An edge of contrast c that is w pixels wide has w (c / w)^2 = c^2 / w of it: blur lowers it, and edges where none
    belong do not raise it.
    """
    wanted = gradient_energy(true)
    near = max_pool2d((wanted > EDGE**2).float()[:, None], 2 * REACH + 1, stride=1, padding=REACH)[:, 0]
    return ((gradient_energy(images) * near).sum() / (wanted * near).sum().clamp(min=1e-12)).item()
