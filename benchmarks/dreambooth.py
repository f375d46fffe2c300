"""DreamBooth on three subjects, by what keeps the prior from forgetting: python -m benchmarks.dreambooth

Runs launch.py once per subject and variant, then score distillation with what came of it (finished runs and figures are
kept, an interrupted run goes on), and writes `table.json`, `table.md` and `sheet.png` into the output folder. The sheet
has per subject the pictures and the true object, then a row per variant: samples of "a sks dog" and with what it is
told to wear; then a row per 3D object.
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from rich.console import Console
from rich.table import Table
from torch import Tensor

from systems.torchvision_shim import define_missing_ops

define_missing_ops()  # before diffusers, which imports torchvision
from benchmarks import subject_scores as scores  # noqa: E402
from data.samplers import turntable  # noqa: E402
from data.subject_pictures import read_subject  # noqa: E402
from data.toybox.captions import parse  # noqa: E402
from data.toybox.raycast import render  # noqa: E402
from data.toybox.split import HELD_OUT  # noqa: E402
from data.toybox.subjects import AZIMUTHS, SUBJECTS, write_pictures  # noqa: E402
from guidance.diffusion_prior import DiffusionPrior  # noqa: E402
from metrics.janus import read_rule, rule_file  # noqa: E402
from metrics.toybox_truth import silhouette_on_grey  # noqa: E402
from systems.command.run_folder import slug  # noqa: E402

TOKEN = "sks"
SINGLE = "experiment=dreambooth"
UNET = [SINGLE, "system.parts=[unet,text_encoder]"]
TOLD = ["experiment=dreambooth_views", f"subject.azimuths=[{','.join(f'{one:g}' for one in AZIMUTHS)}]"]
VARIANTS = {
    "views": TOLD,
    "views_none": [*TOLD, "preservation=none"],
    "parameters": [SINGLE, "preservation=parameters"],
    "none": [SINGLE, "preservation=none"],
    "class_prior": [SINGLE, "preservation=class_prior"],
    "unet": [*UNET, "system.learning_rate=0.0001", "preservation.weight=1000"],
    "unet_none": [*UNET, "system.learning_rate=0.0001", "preservation=none"],
    "lora": [*UNET, "system.rank=8", "preservation=none"],
    "word": [SINGLE, "system.parts=[word]", "preservation=none"],
}
DEFAULT = ("views", "views_none", "parameters", "none", "class_prior", "unet", "lora")
ENDINGS = {  # what the second prompt says of a subject: nothing that it has a colour of
    "dog": " wearing a red hat",
    "duck": " wearing a green scarf",
    "robot": " wearing a blue crown",
}
SAMPLED = ("truth_psnr", "truth_iou", "identity_efficientnet_lite0", "identity_mini_clip")
AS_TOLD = ("clip_score_mini_clip", "r_precision_mini_clip", "truth_psnr")
KEPT = ("lost_psnr", "lost_iou", "lost_clip_score", "known_kid")
AGAINST = ("identity", "clip_score", "r_precision")  # what the true subject has figures of, too
EMBEDDED = Path("assets/mini")
Row = dict[str, float]


class Bench:
    """Everything of one output folder. more: overrides of every training; of_objects: of every distillation."""

    def __init__(
        self, out: Path, seeds: int, captions: Sequence[str], more: Sequence[str], of_objects: Sequence[str]
    ) -> None:
        self.out, self.seeds, self.captions, self.more, self.of_objects = out, seeds, captions, more, of_objects
        self.networks = scores.Networks()
        for name, subject in SUBJECTS.items():
            if not (out / "pictures" / name).exists():
                write_pictures(out / "pictures" / name, subject)

    def pictures(self, name: str) -> Float[Tensor, "n h w 3"]:
        return read_subject(str(self.out / "pictures" / name), scores.SIZE).before_grey

    def personal(self, name: str, variant: str) -> Path:
        """The run that has learned the subject."""
        kind = SUBJECTS[name].kind
        about = [f"subject.pictures={self.out / 'pictures' / name}", f"subject.kind={kind}", f"subject.token={TOKEN}"]
        ask = [*VARIANTS[variant], f"name=dreambooth_{variant}", *about, *self.more]
        return self._launch(f"dreambooth_{variant}", f"a {TOKEN} {kind}", ask)

    def distilled(self, name: str, variant: str, ending: str) -> Path:
        """The 3D object made with it."""
        prompt = f"a {TOKEN} {SUBJECTS[name].kind}{ending}"
        ask = [f"prompt={prompt}", f"subject={self.personal(name, variant)}", "guidance=dreambooth"]
        return self._launch(f"objects_{variant}", prompt, [*ask, f"name=objects_{variant}", *self.of_objects])

    def _launch(self, folder: str, prompt: str, overrides: Sequence[str]) -> Path:
        """The folder of the run; it is made if it is not finished. One that was told other things is refused."""
        path, asked = self.out / folder / f"{slug(prompt)}-0", [f"output={self.out}", *overrides]
        if not (path / "metrics.json").exists():
            subprocess.run([sys.executable, "launch.py", *asked], check=True)
        told = shlex.split((path / "command.txt").read_text())[2:]
        if other := sorted(set(told) ^ set(asked)):
            sys.exit(f"{path} was made otherwise: it differs in {', '.join(other)}. Give another --out, or delete it")
        return path

    def before(self, name: str) -> Row:
        """The embedded prior, asked in words: what needs no learning."""
        return self._of_prior(self.out / f"before_{name}.json", EMBEDDED, name, in_words(name))

    def after(self, name: str, variant: str) -> Row:
        run = self.personal(name, variant)
        row = self._of_prior(run / "scores.json", run / "prior", name, f"a {TOKEN} {SUBJECTS[name].kind}")
        return row | scores.lost(self.known_before(), [self.known_after(name, variant)])

    def known_before(self) -> scores.Known:
        return scores.kept_known(self.out, EMBEDDED, self.networks, self.captions)

    def known_after(self, name: str, variant: str) -> scores.Known:
        run = self.personal(name, variant)
        return scores.kept_known(run, run / "prior", self.networks, self.captions)

    def mean_after(self, variant: str, names: Sequence[str]) -> Row:
        """Over subjects; the intervals of what is lost are over captions."""
        found = mean([self.after(name, variant) for name in names])
        return found | scores.lost(self.known_before(), [self.known_after(name, variant) for name in names])

    def _of_prior(self, file: Path, folder: Path, name: str, prompt: str) -> Row:
        find = lambda: self._of_samples(DiffusionPrior(str(folder), device="cpu"), name, prompt)
        return scores.kept(file, {"seeds": self.seeds, "made": scores.made(folder)}, find)

    def _of_samples(self, prior: DiffusionPrior, name: str, prompt: str) -> Row:
        found: Row = {}
        for key, ending in (("", ""), ("told_", ENDINGS[name])):
            images = scores.look_at_samples(prior, prompt + ending, self.seeds)
            plain = in_words(name) + ending
            own = scores.of_subject(
                images, silhouette_on_grey(images), SUBJECTS[name], plain, turntable(4, scores.SIZE),
                self.pictures(name), self.networks,
            )  # fmt: skip
            found |= {key + measure: value for measure, value in own.items()}
        return found

    def of_object(self, name: str, variant: str, ending: str) -> Row:
        run = self.distilled(name, variant, ending)
        plain = in_words(name) + ending
        make = lambda: scores.of_object(run, SUBJECTS[name], plain, self.pictures(name), self.networks)
        about = {"made": scores.made(run), "rule": asdict(read_rule(rule_file("true_views")))}
        return scores.kept(run / "scores.json", about, make)

    def sheet_rows(self, name: str, variants: Sequence[str], objects: Sequence[str]) -> list[Float[Tensor, "h w 3"]]:
        """Each of eight views."""
        truth = render(SUBJECTS[name].build(), turntable(4, scores.SIZE), supersampling=3)[..., :3]
        worn = parse(in_words(name) + ENDINGS[name]).worn
        told = render(SUBJECTS[name].build(worn), turntable(4, scores.SIZE), supersampling=3)[..., :3]
        blank = torch.ones(max(0, 8 - len(self.pictures(name))), scores.SIZE, scores.SIZE, 3)
        rows = [torch.cat([self.pictures(name)[:8], blank]), torch.cat([truth, told])]
        priors = [(str(EMBEDDED), in_words(name))]
        priors += [(str(self.personal(name, one) / "prior"), f"a {TOKEN} {SUBJECTS[name].kind}") for one in variants]
        for path, prompt in priors:
            prior = DiffusionPrior(path, device="cpu")
            rows.append(torch.cat([scores.sample(prior, prompt + end, 0) for end in ("", ENDINGS[name])]))
        for variant in objects:
            runs = [self.distilled(name, variant, end) for end in ("", ENDINGS[name])]
            rows += [scores.of_run(run)(turntable(8, scores.SIZE))[0] for run in runs]
        return [torch.cat(list(row), dim=1) for row in rows]


def in_words(name: str) -> str:
    """The nearest that a caption comes to the subject: what CLIP, which knows no token, is asked."""
    return f"a {SUBJECTS[name].color} {SUBJECTS[name].kind}"


def mean(rows: Sequence[Row]) -> Row:
    return {key: statistics.fmean(row[key] for row in rows) for key in rows[0]}


def of_the_subject_itself(row: Row) -> Row:
    """The figures that were also taken of the true subject, under the names of those that they are a measure for."""
    return {
        key.replace(f"{one}_truth_", f"{one}_"): row[key] for key in row for one in AGAINST if f"{one}_truth_" in key
    }


def priors_table(rows: Mapping[str, Row]) -> Table:
    """A variant per line, the mean over subjects."""
    columns = ["", *SAMPLED, *(f"told_{key}" for key in AS_TOLD), *KEPT]
    table = Table(*columns)
    for name, row in rows.items():
        cells = [f"{row[key]:.3f}{_reach(row, key)}" if key in row else "" for key in columns[1:]]
        table.add_row(name, *cells)
    return table


def _reach(row: Row, key: str) -> str:
    return f" ± {row[f'{key}_reach']:.3f}" if f"{key}_reach" in row else ""


def objects_table(rows: Mapping[str, Row]) -> Table:
    columns = ["", *SAMPLED, "clip_score_mini_clip", "janus_front_arcs"]
    table = Table(*columns)
    for name, row in rows.items():
        table.add_row(name, *(f"{row[key]:.3f}" for key in columns[1:]))
    return table


def as_markdown(table: Table) -> str:
    columns = [list(column.cells) for column in table.columns]
    head = "| " + " | ".join(str(column.header) for column in table.columns) + " |"
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in zip(*columns, strict=True)]
    return "\n".join([head, "|" + "---|" * len(columns), *lines])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("outputs/dreambooth_table"))
    parser.add_argument("--subjects", nargs="+", choices=SUBJECTS, default=list(SUBJECTS))
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(DEFAULT))
    parser.add_argument(
        "--objects", nargs="*", choices=VARIANTS, default=["views", "parameters"], help="variants distilled"
    )
    parser.add_argument("--seeds", type=int, default=4, help="samples of each prompt, of four views")
    parser.add_argument(
        "--captions", type=int, default=len(HELD_OUT), help="held-out ones, what is lost is measured on"
    )
    parser.add_argument("--of-objects", nargs="*", default=[], help="overrides of the distillations: quality=draft")
    parser.add_argument("overrides", nargs="*", help="of the trainings (after --): trainer.max_steps=50")
    args = parser.parse_args()
    bench = Bench(args.out, args.seeds, HELD_OUT[: args.captions], args.overrides, args.of_objects)
    runs = {one: {name: bench.after(name, one) for name in args.subjects} for one in args.variants}
    before = {name: bench.before(name) for name in args.subjects}
    objects = {
        f"{TOKEN} {name}{ending} ({one})": bench.of_object(name, one, ending)
        for one in args.objects
        for name in args.subjects
        for ending in ("", ENDINGS[name])
    }
    mean_before = mean(list(before.values()))
    means = {"the subject itself": of_the_subject_itself(mean_before), "before": mean_before} | {
        one: bench.mean_after(one, args.subjects) for one in args.variants
    }
    table = {"mean": means, "before": before, "runs": runs, "objects": objects}
    (args.out / "table.json").write_text(json.dumps(table, indent=2) + "\n")
    tables = [priors_table(means), *([objects_table(objects)] if objects else [])]
    (args.out / "table.md").write_text("\n\n".join(map(as_markdown, tables)) + "\n")
    rows = [row for name in args.subjects for row in bench.sheet_rows(name, args.variants, args.objects)]
    image = (torch.cat(rows).clamp(0, 1) * 255).round().byte().numpy()
    Image.fromarray(np.ascontiguousarray(image)).save(args.out / "sheet.png")
    Console(width=200).print(*tables)


if __name__ == "__main__":
    main()
