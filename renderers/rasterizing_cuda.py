"""nvdiffrast's CUDA rasteriser (never its OpenGL one) behind the signatures of `rasterizing` and `outline`."""

from __future__ import annotations

import nvdiffrast.torch as dr
import torch
from jaxtyping import Float, Int
from torch import Tensor

from renderers.outline import NEAREST


class NvDiffRast:
    def __init__(self) -> None:
        self._context = dr.RasterizeCudaContext()

    @torch.no_grad()
    def visible(
        self, projected: Float[Tensor, "b v 3"], faces: Int[Tensor, "f 3"], height: int, width: int
    ) -> Int[Tensor, "b h w"]:
        """Image by image: which triangles are too near to be drawn differs."""
        images = []
        for points, clip in zip(projected, _clip(projected, height, width), strict=True):
            drawn = (points[faces][..., 2] > NEAREST).all(dim=1).nonzero()[:, 0]
            seen = torch.zeros(height, width, dtype=torch.long, device=faces.device)
            if len(drawn):
                corners = faces[drawn].int().contiguous()
                raster, _ = dr.rasterize(
                    self._context, clip[None].contiguous(), corners, (height, width), grad_db=False
                )
                seen = raster[0, ..., 3].long()
            images.append(torch.cat([drawn.new_tensor([-1]), drawn])[seen])
        return torch.stack(images)

    def antialias(
        self,
        image: Float[Tensor, "b h w c"],
        face: Int[Tensor, "b h w"],
        projected: Float[Tensor, "b v 3"],
        faces: Int[Tensor, "f 3"],
    ) -> Float[Tensor, "b h w c"]:
        if len(faces) == 0:
            return image
        clip = _clip(projected, *face.shape[1:]).contiguous()
        with torch.no_grad():
            depth = clip[..., 2] / clip[..., 3]
            corners = depth.gather(1, faces[face.clamp(min=0)].flatten(1)).view(*face.shape, 3)
            far = corners.mean(dim=-1)  # only compared between neighbours
            raster = torch.stack([torch.zeros_like(far), torch.zeros_like(far), far, (face + 1).to(far.dtype)], dim=-1)
        return dr.antialias(image.contiguous(), raster, clip, faces.int().contiguous())


def _clip(projected: Float[Tensor, "b v 3"], height: int, width: int) -> Float[Tensor, "b v 4"]:
    """(x w, y w, z, w), w = depth; row 0 is nvdiffrast's y = -1. z / w = 1 - 2 near / depth grows with the depth."""
    column, row, depth = projected.unbind(dim=-1)
    drawn = torch.where(depth.detach() > NEAREST, depth.detach(), torch.inf)
    near = drawn.amin().clamp(max=1.0) if drawn.numel() else depth.new_tensor(NEAREST)
    return torch.stack(
        [(2 * column / width - 1) * depth, (2 * row / height - 1) * depth, depth - 2 * near, depth], dim=-1
    )
