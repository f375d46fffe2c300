"""Guidances side by side on held-out prompts, measured against the true toys: python -m benchmarks.ground_truth

Runs launch.py once per prompt and variant (finished runs are kept, an interrupted one goes on), then writes
`table.json` and `sheet.png` (per prompt: the truth, then each variant; eight views each) into the output folder.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.table import Table

from data.samplers import turntable
from data.toybox.split import HELD_OUT
from metrics.facing import JANUS_BELOW, facing
from metrics.toybox_truth import toy_of, true_views
from systems.run_folder import slug

VARIANTS = {
    "mv_sds": ["guidance=mv_sds"],
    "sds": ["guidance=sds"],
    "sds_view_dependent": ["guidance=sds", "prompt_processor=view_dependent"],
    "sds_perp_neg": ["guidance=sds", "prompt_processor=perp_neg"],
    "vsd": ["guidance=vsd"],
    "vsd_view_dependent": ["guidance=vsd", "prompt_processor=view_dependent"],
}
MEASURES = ("truth_iou", "truth_psnr", "facing", "seconds")
SIZE = 96  # pixels per view in the sheet


def launch(prompt: str, name: str, out: Path, seed: int, overrides: list[str]) -> Path:
    """The folder of the run of this name; it is made if it isn't finished."""
    folder = out / name / f"{slug(prompt)}-{seed}"
    if not (folder / "metrics.json").exists():
        command = [sys.executable, "launch.py", f"prompt={prompt}", f"seed={seed}", f"output={out}", f"name={name}"]
        subprocess.run([*command, *overrides], check=True)
    return folder


def truth_row(prompt: str) -> np.ndarray:
    toy = toy_of(prompt)
    assert toy is not None
    views, _ = true_views(toy, turntable(8, SIZE))
    return (torch.cat(list(views), dim=1) * 255).byte().numpy()


def picture_row(folder: Path, row: int = 0) -> np.ndarray:
    """0: the renders; 1: below them, the mesh."""
    views = Image.open(folder / "views.png").convert("RGB")
    size = views.width // 8
    part = views.crop((0, row * size, views.width, (row + 1) * size))
    return np.asarray(part.resize((8 * SIZE, SIZE), Image.Resampling.BOX))


def faces(seen: np.ndarray, truth: np.ndarray) -> float:
    """The share of the eight views that show the side they should."""
    views = [
        torch.from_numpy(row.copy()).float().div(255).unflatten(1, (8, SIZE)).movedim(1, 0) for row in (seen, truth)
    ]
    return facing(*views, turntable(8, SIZE).azimuth)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("outputs/ground_truth"))
    parser.add_argument("--prompts", type=int, default=12, help="how many of the held-out prompts")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=["mv_sds", "sds"])
    parser.add_argument("overrides", nargs="*", help="passed to launch.py, e.g. quality=draft (after --)")
    args = parser.parse_args()
    rows, sheet = [], []
    for prompt in HELD_OUT[: args.prompts]:
        folders = {
            name: launch(prompt, name, args.out, args.seed, [*VARIANTS[name], *args.overrides])
            for name in args.variants
        }
        truth, seen = truth_row(prompt), {name: picture_row(folder) for name, folder in folders.items()}
        metrics = {
            name: json.loads((folder / "metrics.json").read_text()) | {"facing": faces(seen[name], truth)}
            for name, folder in folders.items()
        }
        rows.append({"prompt": prompt} | metrics)
        sheet.append(np.concatenate([truth, *seen.values()], axis=1))
    Image.fromarray(np.concatenate(sheet)).save(args.out / "sheet.png")
    summary = {name: summarise([row[name] for row in rows]) for name in args.variants}
    (args.out / "table.json").write_text(json.dumps({"mean": summary, "runs": rows}, indent=2) + "\n")
    Console().print(as_table(rows, summary))


def summarise(runs: list[dict[str, float]]) -> dict[str, float]:
    """Means, and how many of the objects show a side where it does not belong."""
    means = {key: float(np.mean([run[key] for run in runs])) for key in MEASURES}
    return means | {"janus": sum(run["facing"] < JANUS_BELOW for run in runs)}


def as_table(rows: list[dict], summary: dict[str, dict[str, float]]) -> Table:
    """A variant per line; table.json has each run."""
    table = Table("", "IoU", "PSNR (dB)", "facing", "Janus", "seconds")
    for name, means in summary.items():
        iou, db, side, seconds = (means[key] for key in MEASURES)
        janus = f"{means['janus']:.0f} of {len(rows)}"
        table.add_row(name, f"{iou:.3f}", f"{db:.1f}", f"{side:.2f}", janus, f"{seconds:.0f}")
    return table


if __name__ == "__main__":
    main()
