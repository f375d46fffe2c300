"""What a run leaves for W&B, as a user runs it: real processes, the file read back."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from tests.wandb_reader import Logged, read_all

ROOT = Path(__file__).resolve().parents[1]
STEPS = 9
SMALL = [
    f"trainer.max_steps={STEPS}", "system.batch_size=4", "report.size=32", "report.n_frames=8", "report.every=4",
    "export.resolution=24", "export.texture_size=64", "progress.send_every=1", "metric.distance=null", "seed=2",
]  # fmt: skip
WANDB = ["logger=wandb", "trainer.logger.project=mine", "trainer.logger.entity=us", "trainer.logger.tags=[draft,green]"]


@dataclass(frozen=True)
class Ran:
    folder: Path
    first: Logged
    second: Logged
    done: int  # steps before the interruption
    said: str  # by the process that went on
    pids: tuple[int, int]

    @property
    def history(self) -> dict[int, dict[str, object]]:
        return self.first.history | self.second.history

    def rows(self) -> dict[int, dict[str, float]]:
        """metrics.csv, by step."""
        with (self.folder / "metrics.csv").open() as table:
            rows = list(csv.DictReader(table))
        return {int(row["step"]): {name: float(x) for name, x in row.items() if x and name != "step"} for row in rows}

    def metrics(self) -> dict[str, object]:
        return json.loads((self.folder / "metrics.json").read_text())


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Stopped from the terminal, which W&B's process hears as well, and said again."""
    output = tmp_path_factory.mktemp("output")
    folder = output / "text_to_3d" / "a-green-car-2"
    process = start(output)
    deadline = time.monotonic() + 200
    while not n_rows(folder / "metrics.csv") > 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    stopped = process.communicate()[0]
    assert process.returncode == 130, stopped
    again = start(output)
    said = again.communicate()[0]
    assert again.returncode == 0, said
    first, second = read_all(folder)
    done = int(re.findall(r"saved after step (\d+)", stopped)[0])
    return Ran(folder, first, second, done, said, (process.pid, again.pid))


def start(output: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "launch.py", "prompt=a green car", f"output={output}", *SMALL, *WANDB]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, cwd=ROOT, start_new_session=True, **pipes)


def n_rows(table: Path) -> int:
    return len(table.read_text().splitlines()) - 1 if table.exists() else 0


def test_the_run_is_named_and_configured(ran: Ran) -> None:
    run, config = ran.second.run, OmegaConf.to_container(OmegaConf.load(ran.folder / "config.yaml"))
    assert (run.project, run.entity, run.run_group, run.display_name) == ("mine", "us", "text_to_3d", "a-green-car-2")
    assert list(run.tags) == ["draft", "green"]
    assert config.items() <= ran.second.config.items() and ran.second.config["trainer"]["max_steps"] == STEPS
    around = ran.second.config["environment"]
    assert around["command"] == (ran.folder / "command.txt").read_text().strip()
    assert around["version"] == ran.metrics()["version"]


def test_scalars_are_those_of_metrics_csv_at_their_steps(ran: Ran) -> None:
    for step, row in ran.rows().items():
        for name in ("loss", "loss/guidance", "loss/sparsity", "t", "residual", "opacity"):
            assert ran.history[step][name] == pytest.approx(row[name], rel=1e-5), (step, name)
    assert set(ran.rows()) == set(ran.history) == set(range(STEPS))
    assert ran.second.summary["truth_psnr"] == ran.metrics()["truth_psnr"]


def test_clip_and_janus_are_over_steps(ran: Ran) -> None:
    """metrics.csv has what is judged after a step in the row of the next."""
    for name in ("clip_score", "janus_front_arcs"):
        assert ran.history[3][name] == pytest.approx(ran.rows()[4][name], rel=1e-5)
        assert ran.history[STEPS - 1][name] == pytest.approx(ran.metrics()[name], rel=1e-5)


@pytest.mark.parametrize(
    ("step", "name", "kind", "file"),
    [
        (3, "images", "image-file", "images/000004.png"),
        (7, "images", "image-file", "images/000008.png"),
        (8, "views", "image-file", "views.png"),
        (8, "turntable", "video-file", "turntable.mp4"),
        (8, "mesh", "object3D-file", "mesh.glb"),
    ],
)
def test_pictures_video_and_mesh_are_those_of_the_folder(ran: Ran, step: int, name: str, kind: str, file: str) -> None:
    sent = ran.first if step < ran.done else ran.second
    assert sent.history[step][f"{name}._type"] == kind
    assert (sent.folder / "files" / sent.history[step][f"{name}.path"]).read_bytes() == (ran.folder / file).read_bytes()


def test_the_figures_are_a_table_of_one_row(ran: Ran) -> None:
    table = json.loads((ran.second.folder / "files" / ran.history[STEPS - 1]["metrics.path"]).read_text())
    found = dict(zip(table["columns"], *table["data"], strict=True))
    assert found.pop("run") == "a-green-car-2" and found.items() <= ran.metrics().items() and "truth_iou" in found


def test_after_an_interruption_the_same_wandb_run_goes_on(ran: Ran) -> None:
    assert ran.first.run.run_id == ran.second.run.run_id
    assert list(ran.first.history) == list(range(ran.done)) and list(ran.second.history) == list(range(ran.done, STEPS))
    assert (ran.first.exit_code, ran.second.exit_code) == (1, 0)


def test_the_line_that_sends_both_parts_is_said(ran: Ran) -> None:
    assert (
        shlex.join(["wandb", "sync", "--append", str(ran.first.folder), str(ran.second.folder)])
        in ran.said.splitlines()
    )


def test_no_process_of_wandb_stays(ran: Ran) -> None:
    """wandb-core is told whose it is: `--pid 123`."""
    owners = {str(pid).encode() for pid in ran.pids}
    commands = [file.read_bytes().split(b"\0") for file in Path("/proc").glob("[0-9]*/cmdline") if file.exists()]
    assert not [words for words in commands if b"wandb-core" in words[0] and owners & set(words)]
