"""A density field becomes triangles with vertex colours, and triangles become a file."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from models.cleaning import clean
from models.geometry import Geometry
from models.materials import Material


@dataclass(frozen=True)
class Mesh:
    """World axes (z up, +x front), counter-clockwise faces seen from outside, colours in [0, 1] as displayed (sRGB)."""

    vertices: Float[Tensor, "v 3"]
    faces: Int[Tensor, "f 3"]
    colors: Float[Tensor, "v 3"]

    @property
    def volume(self) -> float:
        """Signed: positive where faces look outward."""
        a, b, c = self.vertices[self.faces].double().unbind(dim=1)
        return (a * torch.linalg.cross(b, c)).sum().item() / 6

    def save(self, path: str | Path) -> None:
        """By suffix: .glb (see `glb_bytes`), or .ply and .obj in world axes with sRGB colours."""
        if Path(path).suffix == ".glb":
            Path(path).write_bytes(glb_bytes(self))
            return
        import trimesh

        colors = (self.colors * 255).round().byte().numpy()
        mesh = trimesh.Trimesh(self.vertices.numpy(), self.faces.numpy(), vertex_colors=colors, process=False)
        mesh.export(str(path))


@torch.no_grad()
def extract_mesh(
    geometry: Geometry, material: Material, resolution: int = 128, threshold: float | None = None, floater: float = 0.05
) -> Mesh:
    """The surface of the object, with its colours at the vertices, without what nobody wants (`clean`)."""
    surface = clean(geometry.isosurface(resolution, threshold), floater)
    colors = torch.cat([material.albedo(geometry.features(part)) for part in surface.vertices.split(2**16)])
    return Mesh(surface.vertices.cpu(), surface.faces.cpu(), colors.cpu())


def linear_from_srgb(color: Float[Tensor, "v 3"]) -> Float[Tensor, "v 3"]:
    """IEC 61966-2-1, inverse of the display curve."""
    return torch.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)


def glb_bytes(mesh: Mesh) -> bytes:
    """A binary glTF 2.0 file: +y up, +z front, unlit, so that viewers and Blender show the colours that were rendered.

    Written here, not through a library: COLOR_0 is linear by glTF's definition, and 8 bits of linear colour band in the
    dark, so it is stored as floats; a file that names no material shows metal; and viewers start at a camera, in front.
    """
    axes = [1, 2, 0]  # glTF (x, y, z) = world (y, z, x), a rotation
    arrays = [mesh.vertices[:, axes].numpy(), linear_from_srgb(mesh.colors).numpy(), mesh.faces.numpy().flatten()]
    chunks = [a.astype(t).tobytes() for a, t in zip(arrays, ("<f4", "<f4", "<u4"), strict=True)]
    offsets = np.cumsum([0] + [len(chunk) for chunk in chunks]).tolist()
    views = [
        {"buffer": 0, "byteOffset": start, "byteLength": len(chunk), "target": target}
        for start, chunk, target in zip(offsets, chunks, (34962, 34962, 34963), strict=False)
    ]
    low, high = arrays[0].min(axis=0).tolist(), arrays[0].max(axis=0).tolist()
    accessors = [
        {"bufferView": 0, "componentType": 5126, "count": len(arrays[0]), "type": "VEC3", "min": low, "max": high},
        {"bufferView": 1, "componentType": 5126, "count": len(arrays[1]), "type": "VEC3"},
        {"bufferView": 2, "componentType": 5125, "count": len(arrays[2]), "type": "SCALAR"},
    ]
    document = {
        "asset": {"version": "2.0", "generator": "fourview"},
        "extensionsUsed": ["KHR_materials_unlit"],
        "scene": 0,
        "scenes": [{"nodes": [0, 1]}],
        "nodes": [{"mesh": 0, "name": "object"}, {"camera": 0, "name": "front", "translation": [0.0, 0.0, 2.4]}],
        "cameras": [{"type": "perspective", "perspective": {"yfov": math.radians(40), "znear": 0.01, "zfar": 100.0}}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0, "COLOR_0": 1}, "indices": 2, "material": 0}]}],
        "materials": [{"pbrMetallicRoughness": {"metallicFactor": 0.0}, "extensions": {"KHR_materials_unlit": {}}}],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": offsets[-1]}],
    }
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    binary = b"".join(chunks)
    header = struct.pack("<4sII", b"glTF", 2, 12 + 8 + len(text) + 8 + len(binary))
    return header + struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(binary), b"BIN\0") + binary
