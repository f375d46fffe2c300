"""Ground truth for prompts about toys: the toy that a caption means, seen from given cameras."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from data.cameras import Cameras
from data.errors import UserError
from data.toybox.captions import parse
from data.toybox.grammar import Toy, build
from data.toybox.raycast import BACKGROUND, render


def toy_of(prompt: str) -> Toy | None:
    """None for a prompt that is about no toy: most prompts have no ground truth."""
    try:
        return parse(prompt)
    except UserError:
        return None


def true_views(toy: Toy, cameras: Cameras) -> tuple[Float[Tensor, "b h w 3"], Float[Tensor, "b h w 1"]]:
    """Colours over the grey background, and coverage."""
    views = render(build(toy), cameras, supersampling=3)
    return views[..., :3], views[..., 3:]


def silhouette_on_grey(images: Float[Tensor, "b h w 3"], tolerance: float = 0.06) -> Float[Tensor, "b h w 1"]:
    """1 where a picture without alpha differs from the background in any channel; for samples of a prior."""
    return ((images - BACKGROUND).abs().amax(dim=-1, keepdim=True) > tolerance).float()
