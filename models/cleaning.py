"""A surface without what nobody wants: floaters, and cavities that no ray can see."""

from __future__ import annotations

import numpy as np
import torch

from models.triangles import Triangles


def clean(surface: Triangles, floater: float) -> Triangles:
    """Without pieces smaller than `floater` times the volume of the largest, and without cavities: their surfaces look
    outward from the matter, that is, the other way than the largest, and have volumes of the other sign. What was given
    stays as it is."""
    if surface.given or not len(surface.faces):
        return surface
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    a, b, c = surface.vertices.detach()[surface.faces].double().unbind(dim=1)
    volume = (a * torch.linalg.cross(b, c)).sum(dim=-1).cpu().numpy()
    faces, size = surface.faces.cpu().numpy(), len(surface.vertices)
    edges = np.concatenate([faces[:, :2], faces[:, 1:]])
    _, piece = connected_components(coo_array((np.ones(len(edges)), edges.T), shape=(size, size)), directed=False)
    volumes = np.bincount(piece[faces[:, 0]], weights=volume)
    largest = volumes[np.abs(volumes).argmax()]
    keeps = volumes * np.sign(largest) >= floater * abs(largest)
    kept = surface.faces[torch.from_numpy(keeps[piece[faces[:, 0]]])]
    return used_vertices(Triangles(surface.vertices, kept))


def used_vertices(surface: Triangles) -> Triangles:
    """Without vertices of no face."""
    used, faces = torch.unique(surface.faces, return_inverse=True)
    return Triangles(surface.vertices[used], faces)
