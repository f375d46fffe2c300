"""From a scene to an asset, and from the asset to files for other programs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from data.ranges import Fraction, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, ThreeOrMore
from data.whole_file import whole
from models.asset import Asset
from models.backends import Backend
from models.cleaning import clean
from models.decimation import decimate
from models.gltf import glb_bytes
from models.ply import ply_bytes
from models.scene import Scene
from models.triangles import EmptySurfaceError, Triangles
from models.unwrapping import unwrap
from models.wavefront import wavefront_files
from renderers.baking import Through, bake
from renderers.rasterizing import choose_raster_kernels

log = logging.getLogger(__name__)
NAME = "mesh"
WRITERS: dict[str, Callable[[Asset], dict[str, bytes]]] = {
    "glb": lambda asset: {f"{NAME}.glb": glb_bytes(asset)},
    "obj": lambda asset: wavefront_files(asset, NAME),
    "ply": lambda asset: {f"{NAME}.ply": ply_bytes(asset)},
}


class Exporter:
    """resolution: points along an edge of the box in which the surface is looked for. threshold: of its density; null:
    found, so that the outline is that of the pictures.
    floater: pieces smaller than this share of the largest's volume go. max_faces: null: any number. A mesh of the
    user's own keeps its pieces and faces.
    texture_size: texels along an edge. unwrap_seconds: what xatlas may take, before a simpler layout steps in.
    depth, samples: of the layer whose colour is seen from outside, see `Through`.
    """

    def __init__(
        self,
        resolution: ThreeOrMore = 128,
        threshold: PositiveFloat | None = None,
        floater: Fraction = 0.05,
        max_faces: PositiveInt | None = 20000,
        texture_size: PositiveInt = 1024,
        unwrap_seconds: PositiveFloat = 60.0,
        depth: NonNegativeFloat = 0.15,
        samples: NonNegativeInt = 8,
        formats: Sequence[Literal["glb", "obj", "ply"]] = ("glb",),
        backend: Backend = "auto",
    ) -> None:
        self.resolution, self.threshold, self.floater = resolution, threshold, floater
        self.max_faces, self.texture_size, self.unwrap_seconds = max_faces, texture_size, unwrap_seconds
        self.through = Through(depth, samples)
        self.formats = formats
        self._kernels = choose_raster_kernels(backend, "export.backend")

    def export(self, scene: Scene, folder: Path) -> tuple[Asset, dict[str, str | float]]:
        """Writes the files; also what metrics.json says about the work."""
        started = time.monotonic()
        asset, by = self._made(scene)
        self.write(asset, folder)
        return asset, {"mesh_unwrapped": by, "export_seconds": round(time.monotonic() - started, 1)}

    def asset(self, scene: Scene) -> Asset:
        """On the scene's device. EmptySurfaceError if there is nothing to see."""
        return self._made(scene)[0]

    @torch.no_grad()
    def _made(self, scene: Scene) -> tuple[Asset, str]:
        """Also what has unwrapped it."""
        surface = clean(scene.geometry.isosurface(self.resolution, self.threshold), self.floater)
        surface = decimate(surface, self.max_faces)
        if not len(surface.faces):
            raise EmptySurfaceError(f"export.max_faces={self.max_faces} leaves no surface: raise it")
        unwrapped = unwrap(surface, self.texture_size, self.unwrap_seconds)
        texture = bake(scene, surface, unwrapped, self.through, self._kernels.of(surface.vertices))
        asset = Asset(
            vertices=surface.vertices[unwrapped.vertex],
            faces=unwrapped.faces,
            normals=_normals(surface)[unwrapped.vertex],
            uv=unwrapped.uv,
            base_color=texture[..., :3],
            roughness_metallic=texture[..., 3:] if texture.shape[-1] > 3 else None,
        )
        return asset, unwrapped.by

    def write(self, asset: Asset, folder: Path) -> None:
        """All files or none."""
        files = {name: content for one in self.formats for name, content in WRITERS[one](asset).items()}
        with ExitStack() as stack:
            drafts = [stack.enter_context(whole(folder / name)) for name in files]
            for draft, content in zip(drafts, files.values(), strict=True):
                draft.write_bytes(content)


def _normals(surface: Triangles) -> Float[Tensor, "v 3"]:
    """Up where the faces around a vertex have no area: file formats want unit length everywhere."""
    normals = Triangles(surface.vertices.double(), surface.faces).vertex_normals()
    length = normals.norm(dim=-1, keepdim=True)
    return torch.where(length > 0, normals / length, normals.new_tensor([0.0, 0.0, 1.0])).float()
