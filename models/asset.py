"""What leaves the project: triangles with a texture, for other programs."""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor

from models.triangles import Triangles

FRONT_TO_Z = (1, 2, 0)  # (x, y, z) of glTF and OBJ readers, y up and z to the front, are the world's (y, z, x)


@dataclass(frozen=True)
class Asset:
    """World axes (z up, +x front), metres, counter-clockwise faces seen from outside. Vertices are doubled at seams."""

    vertices: Float[Tensor, "v 3"]
    faces: Int[Tensor, "f 3"]
    normals: Float[Tensor, "v 3"]  # unit length, outward
    uv: Float[Tensor, "v 2"]  # (0, 0): the upper left corner of the texture
    base_color: Float[Tensor, "h w 3"]  # in [0, 1] as displayed (sRGB)
    roughness_metallic: Float[Tensor, "h w 2"] | None = None  # in [0, 1], linear; None: unlit, the colour is the light

    @property
    def surface(self) -> Triangles:
        return Triangles(self.vertices, self.faces)

    @functools.cached_property
    def welded(self) -> tuple[Triangles, Float[Tensor, "w 3"]]:
        """Without doubled vertices, and the colours at the vertices."""
        vertices, index = torch.unique(self.vertices, dim=0, return_inverse=True)
        sums = torch.zeros_like(vertices).index_add(0, index, look_up(self.base_color, self.uv))
        counts = torch.bincount(index, minlength=len(vertices))[:, None]
        return Triangles(vertices, index[self.faces]), sums / counts


def look_up(texture: Float[Tensor, "h w c"], uv: Float[Tensor, "n 2"]) -> Float[Tensor, "n c"]:
    """Bilinear, as viewers do: texel (i, j) has its centre at u = (j + 0.5) / w, v = (i + 0.5) / h."""
    grid = (2 * uv - 1)[None, None]
    image = texture.movedim(-1, 0)[None]
    found = torch.nn.functional.grid_sample(image, grid, padding_mode="border", align_corners=False)
    return found[0, :, 0].t()


def png(texture: Float[Tensor, "h w c"]) -> bytes:
    """1 channel: grey; 3: RGB."""
    levels = (texture.clamp(0, 1) * 255).round().byte().cpu().numpy()
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(levels.squeeze(-1) if levels.shape[-1] == 1 else levels)).save(file, "PNG")
    return file.getvalue()
