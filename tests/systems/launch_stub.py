"""In place of launch.py: notes in <output>/asked.txt what it is asked for, and makes the runs of a sweep at once."""

from __future__ import annotations

import itertools
import json
import shutil
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from systems.command.overrides import parse
from systems.command.run_folder import RunFolder


def main(arguments: list[str]) -> None:
    said = {text.split("=", 1)[0]: parse(text) for text in arguments if "=" in text}
    output, name = said["output"].value(), said["name"].value()
    with Path(output, "asked.txt").open("a") as file:
        file.write(" ".join(arguments) + "\n")
    if name.endswith("broken"):
        sys.exit("fourview: guidance=none: there is no such option")
    if name.endswith("slow"):
        time.sleep(60)
    for prompt, seed in itertools.product(values(said["prompt"]), values(said["seed"])):
        folder = RunFolder(output, name, prompt, int(seed)).path
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path(output, "views.png"), folder / "views.png")
        (folder / "config.yaml").write_text("report:\n  n_views: 8\n")
        arcs = 1 if name.endswith("better") else 3 * int(seed)
        scores = {"janus": int(arcs > 1), "janus_front_arcs": arcs, "seconds": 10.0 + int(seed)}
        (folder / "metrics.json").write_text(json.dumps(scores))


def values(override) -> list[str]:
    if not override.is_sweep_override():
        return [str(override.value()).strip('"')]
    return [one.strip('"') for one in override.sweep_string_iterator()]


if __name__ == "__main__":
    main(sys.argv[1:])
