"""Assets as PLY: no texture but colours at the vertices, and the world's axes (z up, +x front)."""

from __future__ import annotations

from models.asset import Asset


def ply_bytes(asset: Asset) -> bytes:
    """Binary. Vertices are not doubled: the format is for programs that look at the shape."""
    import trimesh

    surface, colors = asset.welded
    levels = (colors * 255).round().byte().cpu().numpy()
    mesh = trimesh.Trimesh(surface.vertices.cpu().numpy(), surface.faces.cpu().numpy(), process=False)
    mesh.visual.vertex_colors = levels
    return mesh.export(file_type="ply")
