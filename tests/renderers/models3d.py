"""3D files in glTF's axes, made up: y up, z to the front."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import trimesh
from PIL import Image

COLORS = {  # of a box, by the direction that a side looks to in the file
    (0, 0, 1): (255, 0, 0),
    (1, 0, 0): (0, 255, 0),
    (0, 0, -1): (0, 0, 255),
    (-1, 0, 0): (255, 255, 0),
    (0, 1, 0): (255, 255, 255),
    (0, -1, 0): (0, 0, 0),
}


def colored_box(path: Path, size: tuple[float, float, float] = (2.0, 2.0, 2.0)) -> Path:
    """Away from the origin."""
    box = trimesh.creation.box(size)
    colors = [COLORS[tuple(int(n) for n in normal.round())] for normal in box.face_normals]
    split = trimesh.Trimesh(box.vertices[box.faces].reshape(-1, 3) + 7, np.arange(36).reshape(12, 3), process=False)
    split.visual.vertex_colors = np.repeat(colors, 3, axis=0)
    split.export(path)
    return path


def grey_ball(path: Path, level: int, says_srgb: bool = False) -> Path:
    ball = trimesh.creation.icosphere(3)
    ball.visual.vertex_colors = np.full((len(ball.vertices), 3), level, np.uint8)
    ball.export(path)
    if says_srgb:
        content = path.read_bytes()
        (length,) = struct.unpack("<I", content[12:16])
        document = json.loads(content[20 : 20 + length])
        document["asset"]["extras"] = {"color_0": "srgb"}
        text = json.dumps(document).encode()
        text += b" " * (-len(text) % 4)
        rest = content[20 + length :]
        sizes = struct.pack("<II", 20 + len(text) + len(rest), len(text))
        path.write_bytes(content[:8] + sizes + b"JSON" + text + rest)
    return path


def sign(path: Path, upper: str = "red", lower: str = "lime", backwards: bool = False) -> Path:
    """A textured sheet that looks to the front."""
    vertices = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], np.float64)
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    picture = Image.new("RGB", (8, 8), lower)
    picture.paste(upper, (0, 0, 8, 4))
    uv = (vertices[:, :2] + 1) / 2
    material = trimesh.visual.material.PBRMaterial(baseColorTexture=picture, baseColorFactor=[255, 255, 255, 255])
    visual = trimesh.visual.TextureVisuals(uv=uv, material=material)
    sheet = trimesh.Trimesh(vertices, faces[:, ::-1] if backwards else faces, visual=visual, process=False)
    sheet.export(path)
    return path
