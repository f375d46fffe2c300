"""Which of many pictures of an object were taken together from all around it."""

from __future__ import annotations

import numpy as np

from data.cameras import Cameras
from data.errors import UserError

CLOSE = 0.01  # radians, or of distances their unit: what differs by less is the same


def groups_around(cameras: Cameras, n_view: int, place: str) -> list[list[int]]:
    """All groups of `n_view` cameras 360 / n_view degrees apart, each in the order of its azimuths; what else they see
    an object from, elevation, field of view and distance, they share. No two groups are of the same cameras.

    place: of the object, for the UserError if there is no such group.
    """
    azimuth = cameras.azimuth.numpy()
    shared = np.stack([x.numpy() for x in (cameras.elevation, cameras.fov_y, cameras.distance)], axis=1)
    on_ring = np.abs(shared[:, None] - shared).max(axis=2) < CLOSE  # "n n"
    wanted = azimuth[:, None] + 2 * np.pi / n_view * np.arange(n_view)
    off = np.abs(np.remainder(wanted[:, :, None] - azimuth + np.pi, 2 * np.pi) - np.pi)  # "n v n"
    off = np.where(on_ring[:, None], off, np.inf)
    whole = off.min(axis=2).max(axis=1) < CLOSE
    groups: dict[frozenset[int], list[int]] = {}
    for group in off.argmin(axis=2)[whole].tolist():
        groups.setdefault(frozenset(group), group)
    if not groups:
        raise UserError(
            f"n_view={n_view}: of the {len(cameras)} views of {place} no {n_view} are evenly apart at one elevation and"
            f" distance; render it with data=four_views and a data.n_view that is a multiple of {n_view}"
        )
    return list(groups.values())
