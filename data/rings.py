"""Which of many pictures of an object were taken together from all around it."""

from __future__ import annotations

import math

import torch

from data.cameras import Cameras
from data.errors import UserError

CLOSE = 0.01  # radians, or of distances their unit: what differs by less is the same


def groups_around(cameras: Cameras, n_view: int, place: str) -> list[list[int]]:
    """All groups of `n_view` cameras 360 / n_view degrees apart, each in the order of its azimuths; what else they see
    an object from, elevation, field of view and distance, they share. No two groups are of the same cameras.

    place: of the object, for the UserError if there is no such group.
    """
    shared = torch.stack([cameras.elevation, cameras.fov_y, cameras.distance], dim=1)
    on_ring = (shared[:, None] - shared).abs().amax(dim=2) < CLOSE  # "n n"
    wanted = cameras.azimuth[:, None] + 2 * math.pi / n_view * torch.arange(n_view)
    off = torch.remainder(wanted[:, :, None] - cameras.azimuth + math.pi, 2 * math.pi) - math.pi  # "n v n"
    nearest = off.abs().masked_fill(~on_ring[:, None], math.inf).min(dim=2)
    groups: dict[frozenset[int], list[int]] = {}
    for group in nearest.indices[nearest.values.amax(dim=1) < CLOSE].tolist():
        groups.setdefault(frozenset(group), group)
    if not groups:
        raise UserError(
            f"n_view={n_view}: of the {len(cameras)} views of {place} no {n_view} are evenly apart at one elevation and"
            f" distance; render it with data=four_views and a data.n_view that is a multiple of {n_view}"
        )
    return list(groups.values())
