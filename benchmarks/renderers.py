"""The same prompts and seed with every renderer, from scratch and refined: python -m benchmarks.renderers

Runs launch.py once per prompt and way (finished runs are kept, an interrupted one goes on). Writes renderers.json and
renderers.png: per prompt the truth, then each way's row of renders, and the row of its mesh.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from data.toybox.split import HELD_OUT
from systems.command.run_folder import slug
from systems.reports.gallery import row_of, true_row

WAYS = {
    "hashgrid": ["renderer=hashgrid"],
    "nerf": ["renderer=nerf"],
    "sdf": ["renderer=sdf"],
    "dmtet": ["renderer=dmtet"],
    "refine": ["experiment=refine", "init_from={out}/hashgrid/{slug}-{seed}"],
}
MEASURES = {  # in metrics.json: as a column, and its decimals
    "seconds": ("seconds", 0),
    "peak_memory_mb": ("MB", 0),
    "truth_iou": ("IoU", 3),
    "truth_psnr": ("dB", 1),
    "truth_sharpness": ("sharp", 2),
    "truth_facing": ("facing", 2),
    "mesh_psnr": ("mesh dB", 1),
    "mesh_iou": ("mesh IoU", 3),
}
SIZE = 96  # pixels per view of the picture


def run(prompt: str, way: str, out: Path, seed: int, overrides: Sequence[str]) -> Path:
    """The folder of the run; it is made if it isn't finished."""
    folder = out / way / f"{slug(prompt)}-{seed}"
    if not (folder / "metrics.json").exists():
        words = [word.format(out=out, slug=slug(prompt), seed=seed) for word in WAYS[way]]
        said = [f"prompt={prompt}", f"seed={seed}", f"output={out}", f"name={way}", *words, *overrides]
        subprocess.run([sys.executable, "launch.py", *said], check=True)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("outputs/renderers"))
    parser.add_argument("--prompts", type=int, default=3, help="how many of the held-out prompts")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("overrides", nargs="*", help="passed to launch.py, e.g. quality=draft (after --)")
    args = parser.parse_args()
    rows, sheet = [], []
    for prompt in HELD_OUT[: args.prompts]:
        folders = {way: run(prompt, way, args.out, args.seed, args.overrides) for way in args.ways}
        rows.append({way: json.loads((folder / "metrics.json").read_text()) for way, folder in folders.items()})
        pictures = [row_of(folder, row, SIZE) for folder in folders.values() for row in (0, 1)]
        sheet.append(np.concatenate([true_row(prompt, SIZE), *pictures]))
    Image.fromarray(np.concatenate(sheet)).save(args.out / "renderers.png")
    means = {way: {key: float(np.mean([row[way][key] for row in rows])) for key in MEASURES} for way in args.ways}
    (args.out / "renderers.json").write_text(json.dumps({"mean": means, "runs": rows}, indent=2) + "\n")
    Console().print(as_table(means))


def as_table(means: dict[str, dict[str, float]]) -> Table:
    table = Table("", *(title for title, _ in MEASURES.values()))
    for way, mean in means.items():
        table.add_row(way, *(f"{mean[key]:.{decimals}f}" for key, (_, decimals) in MEASURES.items()))
    return table


if __name__ == "__main__":
    main()
