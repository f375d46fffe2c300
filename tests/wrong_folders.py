"""Folders of others with one wrong file, for test_fuzz.py: priors, 3D files and their captions. None can be right."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.wrong_files import Case

ROOT = Path(__file__).resolve().parents[1]
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n"
OFFSETS = [[0, "4"], [0, None], [0, [4]], [0, float("nan")], [0, 10**30], [0, 4]]
CHANGES = [
    ("tokenizer/vocabulary.json", {"length": "x"}),
    ("tokenizer/vocabulary.json", {"length": 10**13}),
    ("tokenizer/vocabulary.json", {"known": ["a", "red", "dog", "3d", "asset"], "words": {"a": 1}}),
    ("unet/config.json", {"sample_size": 10**9}),
]
PAIRS = ("data.elevation", "data.fov", *(f"job.studio.lighting.{key}" for key in ("sky", "key", "head", "azimuth")))
RENDER = ["experiment=render_assets", *(f"~{key}" for key in (*PAIRS, "job.studio.lighting.elevation"))]
LISTS = [
    '{"file": "", "caption": "a"}',
    '{"file": "a\\u0000.obj", "caption": "a"}',
    '{"file": "out/a.obj", "caption": "a"}',
    f'{{"file": "{"a" * 5000}.obj", "caption": "a"}}',
    f'{{"file": "a.obj", "caption": "a", "split": "{"s" * 3000}"}}',
    '{"file": "a.obj", "caption": "a", "split": 5}',
]


def wrong_folders(folder: Path) -> Iterator[Case]:
    yield from _headers(folder / "headers")
    yield from _priors(folder / "priors")
    yield from _lists(folder / "lists")
    yield from _textures(folder / "textures")


def ghostscript(folder: Path) -> Path:
    """A folder for PATH: with a program of that name, which leaves a mark."""
    program = folder / "bin" / "gs"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {folder}/canary-gs\n")
    program.chmod(0o755)
    return program.parent


def _headers(folder: Path) -> Iterator[Case]:
    """Of safetensors."""
    tensors = [{"dtype": "F32", "shape": [1], "data_offsets": offsets} for offsets in OFFSETS]
    tensors += [{"dtype": "XX", "shape": [16], "data_offsets": [0, 64]}]
    tensors += [{"dtype": "F32", "shape": [2**62, 4], "data_offsets": [0, 64]}]
    folder.mkdir()
    for number, header in enumerate([{}, *({"a": tensor} for tensor in tensors)]):
        text = json.dumps(header).encode()
        file = folder / f"{number}.safetensors"
        file.write_bytes(len(text).to_bytes(8, "little") + text + bytes(64))
        yield f"header {header}", ["experiment=sample", "prompt=a red dog", f"prior.path={file}"]


def _priors(folder: Path) -> Iterator[Case]:
    for number, (file, changed) in enumerate(CHANGES):
        made = shutil.copytree(ROOT / "assets" / "mini", folder / str(number))
        (made / file).write_text(json.dumps(json.loads((made / file).read_text()) | changed))
        yield f"{file} {changed}", ["experiment=sample", "prompt=a red dog", "device=cpu", f"prior.path={made}"]


def _lists(folder: Path) -> Iterator[Case]:
    """Captions of 3D files, and links to what is not in the folder."""
    folder.mkdir()
    (folder / "a.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    for number, text in enumerate(LISTS):
        assets = folder / str(number)
        assets.mkdir()
        (assets / "out").symlink_to(folder)
        (assets / "captions.jsonl").write_text(text)
        yield f"list {text[:50]}", [*RENDER, f"assets={assets}"]
    (folder / "linked").mkdir()
    (folder / "linked" / "a.obj").symlink_to("../a.obj")
    yield "linked", [*RENDER, f"assets={folder / 'linked'}"]


def _textures(folder: Path) -> Iterator[Case]:
    """Of a shape that has no triangles, after all, and of a 3D file; what unpacks them starts Ghostscript."""
    folder.mkdir()
    (folder / "e.png").write_bytes(EPS)
    (folder / "a.mtl").write_text("newmtl m\nmap_Kd e.png\nnewmtl n\nmap_Kd e.png\nKd 1 0 0\n")
    corners = "v 0 0 0\nv 1 0 0\nv 1 0 0\nvt 0 0\nvt 0 1\nvt 1 0\n"
    faces = "".join(f"usemtl {name}\nf 1/1 2/2 3/3\n" for name in "mn")
    (folder / "a.obj").write_text(f"mtllib a.mtl\n{corners}{faces}")
    plain = ["prompt=a red dog", "background=solid", "~background.color"]
    yield "eps of a shape", [*plain, "renderer=texture", f"geometry.path={folder / 'a.obj'}"]
    yield "eps of an asset", [*RENDER, f"assets={folder}"]
