from __future__ import annotations

import numpy as np
import pytest
import torch
import trimesh

from models.cleaning import clean
from models.decimation import decimate
from models.triangles import Triangles


def ball(radius: float, center: tuple[float, float, float] = (0.0, 0.0, 0.0), subdivisions: int = 3) -> trimesh.Trimesh:
    return trimesh.creation.icosphere(subdivisions, radius=radius).apply_translation(center)


def surface(*pieces: trimesh.Trimesh) -> Triangles:
    mesh = trimesh.util.concatenate(pieces)
    return Triangles(torch.from_numpy(mesh.vertices).float(), torch.from_numpy(mesh.faces))


def faces_per_edge(found: Triangles) -> np.ndarray:
    edges = np.sort(found.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).numpy(), axis=1)
    return np.unique(edges, axis=0, return_counts=True)[1]


def test_floaters_go_and_large_pieces_stay() -> None:
    found = clean(surface(ball(0.2), ball(0.15, (0.4, 0.0, 0.0)), ball(0.05, (0.0, 0.0, 0.5))), floater=0.05)
    large = surface(ball(0.2), ball(0.15, (0.4, 0.0, 0.0)))
    assert len(found.faces) == len(large.faces) and len(found.vertices) == len(large.vertices)
    assert found.volume == pytest.approx(large.volume)


def test_cavities_are_filled() -> None:
    cavity = ball(0.1)
    cavity.invert()
    assert clean(surface(ball(0.2), cavity), floater=0.0).volume == pytest.approx(surface(ball(0.2)).volume)


def test_a_surface_that_looks_inward_keeps_its_pieces_too() -> None:
    pieces = [ball(0.2), ball(0.15, (0.4, 0.0, 0.0)), ball(0.05, (0.0, 0.0, 0.5))]
    for piece in pieces:
        piece.invert()
    assert clean(surface(*pieces), floater=0.05).volume == pytest.approx(surface(*pieces[:2]).volume)


def test_what_was_given_stays_as_it_is() -> None:
    found = surface(ball(0.2), ball(0.05, (0.0, 0.0, 0.5)))
    given = Triangles(found.vertices, found.faces, given=True)
    assert clean(given, floater=0.05) is given and decimate(given, 10) is given


@pytest.mark.parametrize("max_faces", [200, 2000])
def test_fewer_faces_still_close_the_surface_and_look_outward(max_faces: int) -> None:
    pieces = surface(ball(0.2, subdivisions=4), ball(0.15, (0.4, 0.0, 0.0), subdivisions=4))
    found = decimate(pieces, max_faces)
    assert 0.95 * max_faces <= len(found.faces) <= max_faces
    assert (faces_per_edge(found) % 2 == 0).all()
    assert found.volume == pytest.approx(pieces.volume, rel=0.05)


def test_a_surface_within_the_budget_is_left_alone() -> None:
    pieces = surface(ball(0.2))
    assert decimate(pieces, len(pieces.faces)) is pieces and decimate(pieces, None) is pieces
