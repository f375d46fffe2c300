"""Assets as binary glTF 2.0 (Khronos 2021): Blender, three.js, model-viewer, phones."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass, field

import numpy as np
import torch

from models.asset import FRONT_TO_Z, Asset, png

FLOAT, UINT = 5126, 5125
VERTICES, INDICES = 34962, 34963
LINEAR, MIPMAPPED, CLAMPED = 9729, 9987, 33071
FOV = math.radians(40)
UNLIT = "KHR_materials_unlit"


@dataclass
class _Binary:
    """The chunk of numbers and pictures, and the document's tables of what is where in it."""

    data: bytearray = field(default_factory=bytearray)
    views: list[dict[str, int]] = field(default_factory=list)
    accessors: list[dict[str, object]] = field(default_factory=list)

    def add_view(self, content: bytes, target: int | None = None) -> int:
        """Views begin at multiples of four bytes."""
        self.views.append({"buffer": 0, "byteOffset": len(self.data), "byteLength": len(content)})
        if target is not None:
            self.views[-1]["target"] = target
        self.data += content + b"\0" * (-len(content) % 4)
        return len(self.views) - 1

    def add(self, array: np.ndarray, kind: str, component: int, target: int) -> int:
        array = array.reshape(len(array), -1).astype("<f4" if component == FLOAT else "<u4")
        bounds = {"min": array.min(axis=0).tolist(), "max": array.max(axis=0).tolist()}
        view = self.add_view(array.tobytes(), target)
        self.accessors.append(
            {"bufferView": view, "componentType": component, "count": len(array), "type": kind, **bounds}
        )
        return len(self.accessors) - 1


def glb_bytes(asset: Asset) -> bytes:
    """One mesh, textures inside, +y up and +z the front, and a camera that looks at the front.

    Written here, not through a library, for what they leave out: the unlit material, the camera, linear roughness.
    """
    binary = _Binary()
    axes = lambda x: x[:, FRONT_TO_Z].cpu().numpy()
    attributes = {
        "POSITION": binary.add(axes(asset.vertices), "VEC3", FLOAT, VERTICES),
        "NORMAL": binary.add(axes(asset.normals), "VEC3", FLOAT, VERTICES),
        "TEXCOORD_0": binary.add(asset.uv.cpu().numpy(), "VEC2", FLOAT, VERTICES),
    }
    indices = binary.add(asset.faces.flatten().cpu().numpy(), "SCALAR", UINT, INDICES)
    pictures = [png(asset.base_color)]
    if asset.roughness_metallic is not None:  # glTF: green is roughness, blue metallic
        pictures.append(png(torch.nn.functional.pad(asset.roughness_metallic, (1, 0))))
    images = [{"mimeType": "image/png", "bufferView": binary.add_view(picture)} for picture in pictures]
    away = 1.1 * asset.vertices.norm(dim=-1).max().item() / math.sin(FOV / 2)
    document = {
        "asset": {"version": "2.0", "generator": "fourview"},
        **({"extensionsUsed": [UNLIT]} if asset.roughness_metallic is None else {}),
        "scene": 0,
        "scenes": [{"nodes": [0, 1]}],
        "nodes": [{"mesh": 0, "name": "object"}, {"camera": 0, "name": "front", "translation": [0.0, 0.0, away]}],
        "cameras": [{"type": "perspective", "perspective": {"yfov": FOV, "znear": away / 100, "zfar": away * 100}}],
        "meshes": [{"primitives": [{"attributes": attributes, "indices": indices, "material": 0}]}],
        "materials": [_material(unlit=asset.roughness_metallic is None, closed=asset.welded[0].closed)],
        "textures": [{"sampler": 0, "source": index} for index in range(len(images))],
        "samplers": [{"magFilter": LINEAR, "minFilter": MIPMAPPED, "wrapS": CLAMPED, "wrapT": CLAMPED}],
        "images": images,
        "accessors": binary.accessors,
        "bufferViews": binary.views,
        "buffers": [{"byteLength": len(binary.data)}],
    }
    return _container(document, bytes(binary.data))


def _material(unlit: bool, closed: bool) -> dict[str, object]:
    """A reader that does not know the extension sees an unlit material as something matt. What is not closed is seen
    from behind, too."""
    common: dict[str, object] = {"name": "surface", "doubleSided": not closed}
    look: dict[str, object] = {"baseColorTexture": {"index": 0}, "metallicFactor": 0.0, "roughnessFactor": 1.0}
    if unlit:
        return {**common, "pbrMetallicRoughness": look, "extensions": {UNLIT: {}}}
    look |= {"metallicRoughnessTexture": {"index": 1}, "metallicFactor": 1.0}
    return {**common, "pbrMetallicRoughness": look}


def _container(document: dict[str, object], binary: bytes) -> bytes:
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    header = struct.pack("<4sII", b"glTF", 2, 12 + 8 + len(text) + 8 + len(binary))
    return header + struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(binary), b"BIN\0") + binary
