"""An object that looks different from every side."""

from __future__ import annotations

import pytest
import torch

from models.asset import Asset

SIDES = {  # outward direction in the world's axes: colour
    (1.0, 0.0, 0.0): (0.8, 0.1, 0.1),  # the front is red
    (0.0, 1.0, 0.0): (0.1, 0.1, 0.8),  # its left side blue
    (0.0, 0.0, 1.0): (0.1, 0.6, 0.1),  # the top green
    (-1.0, 0.0, 0.0): (0.0, 0.0, 0.0),
    (0.0, -1.0, 0.0): (0.9, 0.9, 0.2),
    (0.0, 0.0, -1.0): (1.0, 1.0, 1.0),
}
SIZE = torch.tensor([1.0, 0.4, 0.2])  # metres: long, narrow, flat
CENTER = torch.tensor([0.1, 0.2, 0.3])
TEXELS = 8  # of a side's square


@pytest.fixture
def box() -> Asset:
    """A side per square of the texture, which has 3 x 2 of them."""
    vertices, normals, uv, faces = [], [], [], []
    texture = torch.zeros(2 * TEXELS, 3 * TEXELS, 3)
    for index, (direction, color) in enumerate(SIDES.items()):
        row, column = divmod(index, 3)
        texture[row * TEXELS : (row + 1) * TEXELS, column * TEXELS : (column + 1) * TEXELS] = torch.tensor(color)
        normal = torch.tensor(direction)
        right = normal.roll(1).abs()
        down = torch.linalg.cross(right, normal)
        for a, b in ((-1, -1), (1, -1), (-1, 1), (1, 1)):
            vertices.append(CENTER + (normal + a * right + b * down) * SIZE / 2)
            normals.append(normal)
            uv.append(torch.tensor([(column + 0.5 + 0.4 * a) / 3, (row + 0.5 + 0.4 * b) / 2]))
        first = 4 * index
        faces += [[first, first + 2, first + 1], [first + 1, first + 2, first + 3]]
    return Asset(torch.stack(vertices), torch.tensor(faces), torch.stack(normals), torch.stack(uv), texture)
