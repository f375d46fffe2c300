"""3D files, with their colours: vertex colours, base colours, textures, and the normals where there are any."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import trimesh
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from trimesh.visual import TextureVisuals
from trimesh.visual.color import to_float
from trimesh.visual.material import SimpleMaterial

from data.pictures import MOST_PIXELS
from models.color import linear_from_srgb
from models.mesh_file import PlacedMesh, read_meshes
from models.painted import Painted
from models.triangles import Triangles

VertexColors = Literal["auto", "linear", "srgb"]
UNPAINTED = 0.8  # sRGB
GLTF = (".glb", ".gltf")
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TGA", "TIFF", "GIF")  # of textures; of others, one runs Ghostscript


class UnreadableError(Exception):
    """Why a file cannot be read as a surface."""


def read_painted(path: str, z_up: bool, colors: VertexColors, texture_size: int) -> Painted:
    """Every triangle mesh of a file, where its scene has it; what is transparent is opaque here.

    z_up: the file has our axes, z up and x to the front; else those of glTF, y up and z to the front.
    colors: what the numbers of vertex colours are. glTF means linear light; but files whose `asset.extras.color_0` is
    "srgb", and other formats, mean colours as displayed (auto).
    texture_size: to which larger pictures are reduced.
    """
    try:
        meshes = read_meshes(Path(path))
        srgb = colors == "srgb" or (colors == "auto" and _says_srgb(Path(path)))
        pictures = _Pictures(texture_size)
        parts = [_part(one, srgb, pictures) for one in meshes]
    except FileNotFoundError:
        raise UnreadableError("the file is not there") from None
    except Exception as error:  # of a damaged file, parsers raise whatever they please
        raise UnreadableError(f"it cannot be read ({type(error).__name__}: {error})") from error
    if not parts:
        raise UnreadableError("it holds no triangles")
    painted = _together(parts)
    return painted if z_up else _turned(painted)


def _says_srgb(path: Path) -> bool:
    if path.suffix.lower() not in GLTF:
        return True
    content = path.read_bytes()
    if content[:4] == b"glTF":
        (length,) = struct.unpack("<I", content[12:16])
        content = content[20 : 20 + length]
    extras = json.loads(content)["asset"].get("extras")
    return isinstance(extras, dict) and extras.get("color_0") == "srgb"


class _Pictures:
    """In linear light, in which the means of their pixels are taken; each is read once, whatever parts have it."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.read: dict[int, Float[Tensor, "_h _w 3"]] = {}

    def __call__(self, image: Image.Image) -> Float[Tensor, "_h _w 3"]:
        if id(image) not in self.read:
            _check_picture(image)
            levels = torch.from_numpy(np.array(image.convert("RGB"))).float() / 255
            self.read[id(image)] = self._reduced(linear_from_srgb(levels))
        return self.read[id(image)]

    def _reduced(self, light: Float[Tensor, "h w 3"]) -> Float[Tensor, "_h _w 3"]:
        longest = max(light.shape)
        if longest <= self.size:
            return light
        height, width = (max(round(side * self.size / longest), 1) for side in light.shape[:2])
        return (
            torch.nn.functional.adaptive_avg_pool2d(light.movedim(-1, 0), (height, width)).movedim(0, -1).contiguous()
        )


def _check_picture(image: Image.Image) -> None:
    """Before its pixels are read."""
    if image.width * image.height > MOST_PIXELS:
        raise ValueError(f"a texture is {image.width} x {image.height} pixels, more than {MOST_PIXELS}")
    if image.format not in (None, *FORMATS):
        raise ValueError(f"a texture is {image.format}, and not one of {', '.join(FORMATS)}")


def _part(one: PlacedMesh, srgb: bool, pictures: _Pictures) -> Painted:
    mesh, linear = one.mesh, one.transform[:3, :3]
    surface = Triangles(torch.from_numpy(one.vertices.astype(np.float32)), torch.tensor(one.faces))
    flat = surface.face_normals()[:, None].expand(-1, 3, -1)
    normals = flat
    if "vertex_normals" in mesh._cache.cache:  # else trimesh makes up smooth ones
        cofactors = np.linalg.det(linear) * np.linalg.inv(linear).T
        smooth = torch.from_numpy((np.asarray(mesh.vertex_normals) @ cofactors.T).astype(np.float32))[surface.faces]
        normals = torch.where(smooth.norm(dim=-1, keepdim=True) > 0, smooth, flat)
    paint, uv, picture = _look(mesh, srgb, pictures)
    index = torch.full((len(surface.faces),), -1 if picture is None else 0)
    normals = torch.nn.functional.normalize(normals, dim=-1)
    return Painted(surface, normals, paint, uv, index, () if picture is None else (picture,))


def _look(
    mesh: trimesh.Trimesh, srgb: bool, pictures: _Pictures
) -> tuple[Float[Tensor, "f 3 3"], Float[Tensor, "f 3 2"], Float[Tensor, "h w 3"] | None]:
    """Linear paint, where in the picture, and the picture."""
    faces, visual = torch.tensor(mesh.faces, dtype=torch.long), mesh.visual
    decode = lambda color, display: linear_from_srgb(color) if display else color
    levels = lambda color: torch.from_numpy(to_float(np.asarray(color))[..., :3].astype(np.float32))
    uv = torch.zeros(len(faces), 3, 2)
    if not isinstance(visual, TextureVisuals):
        if visual.kind == "vertex":
            return decode(levels(visual.vertex_colors), srgb)[faces], uv, None
        grey = torch.full((len(faces), 3), UNPAINTED)
        per_face = levels(visual.face_colors) if visual.kind == "face" else grey
        return decode(per_face, srgb or visual.kind is None)[:, None].expand(-1, 3, -1), uv, None
    simple = isinstance(visual.material, SimpleMaterial)
    image = visual.material.image if simple else visual.material.baseColorTexture
    factor = visual.material.diffuse if simple else visual.material.baseColorFactor
    paint = torch.ones(len(faces), 3, 3)
    if factor is not None and not (simple and image is not None):  # of OBJ files, only one of them is meant
        paint = paint * decode(levels(factor), simple)
    own = visual.vertex_attributes.get("color")
    if own is not None:
        paint = paint * decode(levels(own), srgb)[faces]
    if image is None or visual.uv is None:
        return paint, uv, None
    corners = torch.from_numpy(np.asarray(visual.uv, np.float32))[faces]
    uv = torch.stack([corners[..., 0], 1 - corners[..., 1]], dim=-1)  # trimesh: from the lower left corner
    return paint, uv, pictures(image)


def _together(parts: list[Painted]) -> Painted:
    """One surface; parts have at most one picture."""
    pictures = {id(picture): picture for part in parts for picture in part.pictures}
    index = {name: i for i, name in enumerate(pictures)}
    faces, chosen, n_vertices = [], [], 0
    for part in parts:
        faces.append(part.surface.faces + n_vertices)
        own = index[id(part.pictures[0])] if part.pictures else -1
        chosen.append(torch.full_like(part.picture, own))
        n_vertices += len(part.surface.vertices)
    return Painted(
        surface=Triangles(torch.cat([part.surface.vertices for part in parts]), torch.cat(faces)),
        normals=torch.cat([part.normals for part in parts]),
        paint=torch.cat([part.paint for part in parts]),
        uv=torch.cat([part.uv for part in parts]),
        picture=torch.cat(chosen),
        pictures=tuple(pictures.values()),
    )


def _turned(painted: Painted) -> Painted:
    """From y up, z to the front."""
    axes = [2, 0, 1]
    surface = Triangles(painted.surface.vertices[:, axes], painted.surface.faces)
    return Painted(surface, painted.normals[..., axes], painted.paint, painted.uv, painted.picture, painted.pictures)
