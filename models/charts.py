"""A program of its own, which models/unwrapping.py starts and may kill: vertices and faces on standard input, an atlas
of charts on standard output. xatlas knows no time limit, and has crashed on odd meshes."""

from __future__ import annotations

import io
import sys

import numpy as np


def main() -> None:
    import xatlas

    given = np.load(io.BytesIO(sys.stdin.buffer.read()))
    atlas, packing = xatlas.Atlas(), xatlas.PackOptions()
    packing.resolution, packing.padding = int(given["size"]), int(given["padding"])
    packing.bilinear = True
    atlas.add_mesh(given["vertices"], given["faces"])
    atlas.generate(xatlas.ChartOptions(), packing)
    vertex, faces, uv = atlas.get_mesh(0)
    result = io.BytesIO()
    np.savez(result, vertex=vertex.astype(np.int64), faces=faces.astype(np.int64), uv=uv.astype(np.float32))
    sys.stdout.buffer.write(result.getvalue())


if __name__ == "__main__":
    main()
