"""Assets as Wavefront OBJ with its material file (MTL) and textures."""

from __future__ import annotations

import io

import numpy as np

from models.asset import FRONT_TO_Z, Asset, png


def wavefront_files(asset: Asset, name: str) -> dict[str, bytes]:
    """By file name: `name`.obj, .mtl, .png, and grey textures of a lit material.

    The format fixes neither axes nor units; readers (Blender's among them) expect y up and z to the front, as in
    glTF, and metres. Its texture coordinates start at the lower left.
    """
    textures = {f"{name}.png": png(asset.base_color)}
    lines = ["newmtl surface", "Ka 1 1 1", "Kd 1 1 1", "Ks 0 0 0", f"map_Kd {name}.png"]
    if asset.roughness_metallic is None:
        lines.append("illum 0")  # the colour alone, no light
    else:  # the widespread physical extension of the format
        roughness, metallic = asset.roughness_metallic.split(1, dim=-1)
        textures |= {f"{name}_roughness.png": png(roughness), f"{name}_metallic.png": png(metallic)}
        lines += ["illum 2", f"map_Pr {name}_roughness.png", f"map_Pm {name}_metallic.png"]
    material = "\n".join(lines) + "\n"
    return {f"{name}.obj": _geometry(asset, name), f"{name}.mtl": material.encode(), **textures}


def _geometry(asset: Asset, name: str) -> bytes:
    text = io.StringIO()
    text.write(f"# fourview: metres, y up, the front towards z\nmtllib {name}.mtl\no object\nusemtl surface\n")
    u, v = asset.uv.cpu().numpy().T
    _write(text, "v %.6f %.6f %.6f", asset.vertices[:, FRONT_TO_Z].cpu().numpy())
    _write(text, "vt %.6f %.6f", np.stack([u, 1 - v], axis=1))
    _write(text, "vn %.4f %.4f %.4f", asset.normals[:, FRONT_TO_Z].cpu().numpy())
    _write(text, "f %d/%d/%d %d/%d/%d %d/%d/%d", (asset.faces + 1).repeat_interleave(3, dim=1).cpu().numpy())
    return text.getvalue().encode()


def _write(text: io.StringIO, line: str, rows: np.ndarray) -> None:
    text.write((line + "\n") * len(rows) % tuple(rows.ravel().tolist()))
