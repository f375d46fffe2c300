"""Fewer faces."""

from __future__ import annotations

import numpy as np
import torch

from models.cleaning import used_vertices
from models.triangles import Triangles


def decimate(surface: Triangles, max_faces: int | None) -> Triangles:
    """At most `max_faces` (None: any number), or as near as edges can be collapsed: by quadric error (Garland and
    Heckbert 1997). What was closed stays closed, each edge has an even number of faces, and faces keep looking out.
    What was given stays as it is."""
    if surface.given or max_faces is None or len(surface.faces) <= max_faces:
        return surface
    import fast_simplification

    vertices, faces = surface.vertices.detach().cpu().numpy(), surface.faces.cpu().numpy()
    vertices, faces = fast_simplification.simplify(vertices, faces.astype(np.int32), target_count=max_faces)
    device = surface.vertices.device
    points = torch.from_numpy(vertices.astype(np.float32)).to(device)
    return used_vertices(Triangles(points, torch.from_numpy(faces.astype(np.int64)).to(device)))
