"""Multi-view against vanilla SDS on held-out prompts, measured against the true toys: python -m benchmarks.ground_truth

Runs launch.py once per prompt and guidance (finished runs are kept, an interrupted one goes on), then writes
`table.json` and `sheet.png` (per prompt: truth, mv_sds, sds; eight views each) into the output folder.
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
from metrics.toybox_truth import toy_of, true_views
from systems.run_folder import slug

GUIDANCES = ("mv_sds", "sds")
SIZE = 96  # pixels per view in the sheet


def run(prompt: str, guidance: str, out: Path, seed: int, overrides: list[str]) -> Path:
    """The folder of the finished run."""
    folder = out / guidance / f"{slug(prompt)}-{seed}"
    if not (folder / "metrics.json").exists():
        command = [sys.executable, "launch.py", f"prompt={prompt}", f"guidance={guidance}", f"seed={seed}"]
        subprocess.run([*command, f"output={out}", f"name={guidance}", *overrides], check=True)
    return folder


def truth_row(prompt: str) -> np.ndarray:
    toy = toy_of(prompt)
    assert toy is not None
    views, _ = true_views(toy, turntable(8, SIZE))
    return (torch.cat(list(views), dim=1) * 255).byte().numpy()


def render_row(folder: Path) -> np.ndarray:
    return np.asarray(Image.open(folder / "views.png").convert("RGB").resize((8 * SIZE, SIZE), Image.Resampling.BOX))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("outputs/ground_truth"))
    parser.add_argument("--prompts", type=int, default=12, help="how many of the held-out prompts")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("overrides", nargs="*", help="passed to launch.py, e.g. quality=draft")
    args = parser.parse_args()
    rows, sheet = [], []
    for prompt in HELD_OUT[: args.prompts]:
        folders = {name: run(prompt, name, args.out, args.seed, args.overrides) for name in GUIDANCES}
        metrics = {name: json.loads((folder / "metrics.json").read_text()) for name, folder in folders.items()}
        rows.append({"prompt": prompt} | metrics)
        sheet.append(np.concatenate([truth_row(prompt), *map(render_row, folders.values())], axis=1))
    Image.fromarray(np.concatenate(sheet)).save(args.out / "sheet.png")
    summary = {
        name: {key: float(np.mean([row[name][key] for row in rows])) for key in ("truth_iou", "truth_psnr", "seconds")}
        for name in GUIDANCES
    }
    (args.out / "table.json").write_text(json.dumps({"mean": summary, "runs": rows}, indent=2) + "\n")
    Console().print(as_table(rows, summary))


def as_table(rows: list[dict], summary: dict[str, dict[str, float]]) -> Table:
    table = Table("prompt", *[f"{name} {what}" for name in GUIDANCES for what in ("IoU", "PSNR (dB)", "s")])
    for title, metrics in [(row["prompt"], row) for row in rows] + [("mean", summary)]:
        cells = [(metrics[n]["truth_iou"], metrics[n]["truth_psnr"], metrics[n]["seconds"]) for n in GUIDANCES]
        table.add_row(title, *[text for iou, db, s in cells for text in (f"{iou:.3f}", f"{db:.1f}", f"{s:.0f}")])
    return table


if __name__ == "__main__":
    main()
