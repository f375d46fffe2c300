"""The page and the tables of a sweep that is going on, from folders as its runs leave them."""

from __future__ import annotations

import csv
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from pytorch_lightning import Trainer

import launch
from systems.command.claim import claimed
from systems.command.run_folder import RunFolder
from systems.command.status import Status
from systems.command.sweep import SweptRun
from systems.evaluation.left_behind import Left, look_at
from systems.reports.pictures import write_video
from systems.reports.progress import Progress
from systems.text_to_3d import TextTo3D
from tests.conftest import Run
from tests.systems.conftest import Leave
from tests.systems.test_reporting import small_report

ODD = "guidance=sds,prior.path=50% #1 <b>"  # a setting's folder


def status(state: str = "running", **changed: object) -> Status:
    plain = Status(state, 20, 30, starts=(0,), host="n1", updated="2026-01-01T00:01:00")
    return Status(**(asdict(plain) | changed))


def seen(folder: Path, sweep: Path) -> Left:
    return look_at(SweptRun(str(folder.relative_to(sweep)), "a dog", 0, "", ()), sweep)


def collect(sweep: Path, run: Run) -> Path:
    """The command, as given; where it writes."""
    run.monkeypatch.setattr(sys, "argv", ["launch.py", *run.overrides[1:], "experiment=collect", f"sweep='{sweep}'"])
    assert launch.main() == 0, run.capsys.readouterr().err
    return Path(run.capsys.readouterr().out.splitlines()[-1])


def table(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


class Links(HTMLParser):
    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [(tag, value or "") for name, value in attrs if name in {"src", "href"}]


@pytest.mark.parametrize("state", ["finished", "requeued", "interrupted", "failed"])
def test_a_run_that_says_how_it_ended_is_believed(leave: Leave, sweep: Path, state: str) -> None:
    left = seen(leave(said=status(state, starts=(0, 10, 20), reason="no memory"), metrics_json="{}"), sweep)
    assert (left.state, left.progress) == (state, "20/30")
    assert left.happened.startswith("resumed at step 10 and 20; no memory")


def test_a_run_that_nobody_holds_was_killed_and_one_that_is_held_runs_on(leave: Leave, sweep: Path) -> None:
    folder = leave(said=status(), metrics_csv="step,seconds,loss\r\n24,9.00,0.75\r\n25,9.50,0.5\r\n26,10.0,0.2")
    left = seen(folder, sweep)
    assert (left.state, left.progress) == ("killed", "20/30")  # what is saved
    assert left.happened == "its process ended on n1 without a word, after 2026-01-01T00:01:00"
    with claimed(folder):
        left = seen(folder, sweep)
    assert (left.state, left.progress, left.happened) == ("running", "26/30", "")
    assert left.figures == {"step": 25, "seconds": 9.5, "loss": 0.5} and not left.final


def test_a_run_without_a_word_of_its_own_is_told_by_its_files(leave: Leave, sweep: Path) -> None:
    assert seen(leave(seed=0), sweep).state == "waiting"
    assert seen(sweep / "not-there-0", sweep).state == "waiting"
    assert seen(leave(seed=1, metrics_csv="step,loss\n1,2\n"), sweep).state == "interrupted"
    old = seen(leave(seed=2, metrics_json='{"steps": 30, "loss": 0.5}'), sweep)
    assert (old.state, old.progress, old.final) == ("finished", "30", True)
    assert (
        seen(leave(seed=3, said=status(), metrics_json="{}"), sweep).state == "finished"
    )  # killed after the last word


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"loss": 1', "\x00\xff"])
def test_what_is_half_written_is_told_and_no_failure(leave: Leave, sweep: Path, text: str) -> None:
    broken = seen(leave(seed=0, said=status("finished"), metrics_json=text), sweep)
    assert broken.state == "finished" and "its metrics.json cannot be read" in broken.happened and not broken.figures
    assert (
        seen(leave(seed=1, status_json=text), sweep).happened
        == "its status.json cannot be read, and nobody is at work on it"
    )
    assert seen(leave(seed=2, metrics_csv=text), sweep).figures == {}
    (leave(seed=3) / "metrics.csv").write_bytes(b"step,loss\n\xff,\x00\n")
    assert seen(sweep / "a-dog-3", sweep).figures == {}


def test_a_run_that_failed_shows_the_end_of_its_logs(leave: Leave, sweep: Path) -> None:
    lines = "".join(f"line {index}\n" for index in range(100_000))
    folder = leave(said=status("failed", job="12_3"), run_log=lines + "\x1b[31mOut of memory\x1b[0m\n\n")
    submitted = sweep / ".submitit" / "0a1b" / "12_3"
    submitted.mkdir(parents=True)
    (submitted / "12_3_0_log.err").write_text("step 1\rstep 2\nslurmstepd: oom_kill event\n")
    shown = seen(folder, sweep).lines
    assert shown[:2] == ("run.log:", "line 99993") and shown[8] == "Out of memory"
    assert shown[9:] == ("12_3_0_log.err:", "step 1", "step 2", "slurmstepd: oom_kill event")
    (folder / "status.json").write_text(json.dumps(asdict(status("finished"))))
    assert seen(folder, sweep).lines == ()


def test_the_tables_are_of_what_is_finished(leave: Leave, sweep: Path, run: Run) -> None:
    for seed, (janus, loss) in enumerate([(0, 1.0), (1, 2.0), (0, 3.0)]):
        figures = {"janus": janus, "loss": loss, "device": "cpu"}
        leave("guidance=sds", seed=seed, said=status("finished"), metrics_json=json.dumps(figures))
    going = leave("guidance=sds", seed=3, said=status(), metrics_csv="step,loss\n25,9.0\n")
    leave(seed=0)
    with claimed(going):
        folder = collect(sweep, run)
    sds, default = table(folder / "table.csv")
    assert (sds["setting"], sds["runs"], sds["of"]) == ("guidance=sds", "3", "4")
    assert float(sds["loss"]) == 2.0 and float(sds["loss_low"]) == pytest.approx(2 - 4.30265 / 3**0.5, abs=1e-4)
    assert float(sds["janus"]) == pytest.approx(1 / 3) and float(sds["janus_low"]) > 0
    assert (default["setting"], default["runs"], default["of"], default["loss"]) == ("default", "0", "1", "")
    assert "clip_score" not in sds  # which none has
    *_, running, waiting = table(folder / "runs.csv")
    said = {"prompt": "a dog", "seed": "3", "setting": "guidance=sds", "state": "running", "step": "26", "loss": "9.0"}
    assert said.items() <= running.items() and waiting["state"] == "waiting" and len(table(folder / "runs.csv")) == 5
    found = json.loads((folder / "metrics.json").read_text())
    assert (
        found["states"] == {"finished": 3, "running": 1, "waiting": 1}
        and found["settings"]["guidance=sds"]["loss"] == 2
    )


def test_what_happened_is_one_row_a_run(leave: Leave, sweep: Path, run: Run) -> None:
    leave("x=1", said=status("failed", reason="no | memory\nat all", starts=(0, 20)), run_log="<the end>\n")
    leave("x=2", said=status("finished", step=30), metrics_json='{"loss": 1.0}')
    text = (collect(sweep, run) / "happened.md").read_text()
    assert text.splitlines()[0] == "2 runs: 1 failed, 1 finished"
    assert "| x=1/a-dog-0 | failed | 20/30 | resumed at step 20; no \\| memory at all |\n" in text
    assert "| x=2/a-dog-0 | finished | 30/30 |  |\n" in text
    assert text.endswith("\n## x=1/a-dog-0\n\n    run.log:\n    <the end>\n")


def test_the_page_shows_every_run_and_its_links_lead_somewhere(leave: Leave, sweep: Path, run: Run) -> None:
    prompt = 'a <i>dog</i> & "cat"'
    folder = leave(ODD, prompt, said=status("finished"), metrics_json='{"loss": 0.5}', index_html="the run")
    write_video(folder / "turntable.mp4", [np.zeros((16, 16, 3), np.uint8)] * 2, 20)
    leave("guidance=<u>", prompt, said=status("failed", reason="<b>why</b>"), run_log="<script>log</script>\n")
    leave("guidance=<u>", "a cat")
    place = collect(sweep, run)
    page = (place / "index.html").read_text()
    links = Links(place / "index.html").found
    assert [tag for tag, _ in links] == ["video", "a"]
    assert all((place / unquote(url)).is_file() and not set(url) & set(" =,#<") for _, url in links)
    assert "loss 0.500" in page and "failed 20/30: &lt;b&gt;why&lt;/b&gt;" in page and "waiting" in page
    assert not [raw for raw in ("<i>dog", "<b>", "<u>", "<script>log") if raw in page]
    assert page.count("<tr><th>a ") == 2 and "guidance=&lt;u&gt;" in page


def test_what_a_real_run_writes_is_read(
    sweep: Path, run: Run, make_system: Callable[..., TextTo3D], make_trainer_in: Callable[..., Trainer]
) -> None:
    done, going = (RunFolder(str(sweep.parent), sweep.name, "red", seed, "x=1").path for seed in (0, 1))
    for folder, callbacks in ((done, [Progress(), small_report()]), (going, [Progress()])):
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(f"prompt: red\nseed: {folder.name[-1]}\n")
        make_trainer_in(folder, *callbacks).fit(make_system())
    with claimed(going):
        place = collect(sweep, run)
    first, second = table(place / "runs.csv")
    written = json.loads((done / "metrics.json").read_text())
    assert (first["state"], first["step"], float(first["loss"])) == ("finished", "6", written["loss"])
    assert (second["state"], second["step"], second["loss"]) == ("running", "6", first["loss"])
    assert float(table(place / "table.csv")[0]["seconds"]) == written["seconds"]
    (video, url), *_ = Links(place / "index.html").found
    assert video == "video" and (place / unquote(url)).samefile(done / "turntable.mp4")


def test_it_can_be_done_again_and_again(leave: Leave, sweep: Path, run: Run) -> None:
    leave(seed=0, said=status("finished"), metrics_json='{"loss": 1.0}')
    first = collect(sweep, run)
    leave(seed=1, said=status("finished"), metrics_json='{"loss": 3.0}')
    assert collect(sweep, run) == first and [path.name for path in first.parent.iterdir()] == [first.name]
    assert table(first / "table.csv")[0]["loss"] == "2.0"


def test_runs_that_are_older_than_sweep_json_are_found(sweep: Path, run: Run) -> None:
    for setting, prompt in (("plain", "a red dog"), ("better/still", "1e5")):
        folder = sweep / setting / "object-3"
        (folder / "wandb" / "run").mkdir(parents=True)
        (folder / "wandb" / "run" / "config.yaml").touch()
        (folder / "config.yaml").write_text(f"prompt: '{prompt}'\nseed: 3\n")
        (folder / "metrics.json").write_text('{"loss": 1.0}')
    (sweep / ".object-3.replaced").mkdir()
    (sweep / ".object-3.replaced" / "config.yaml").touch()
    (sweep / "no-config-4").mkdir()
    (sweep / "no-config-4" / "status.json").write_text("{")
    (sweep / "no-config-4" / "config.yaml").write_text("prompt: [a red\n dog: {")
    found = table(collect(sweep, run) / "runs.csv")
    assert [(one["setting"], one["prompt"], one["seed"], one["state"]) for one in found] == [
        ("better/still", "1e5", "3", "finished"),
        ("default", "no-config", "0", "killed"),
        ("plain", "a red dog", "3", "finished"),
    ]
    for _ in range(2):
        assert len(table(collect(sweep.parent, run) / "runs.csv")) == 3  # without the collection of before, or its own


BOMB = "a: &a [x, x]\n" + "".join(f"b{n}: &b{n} [*{f'b{n - 1}' if n else 'a'}, *a]\n" for n in range(40))


DAMAGED = [BOMB + "prompt: *b39\n", "prompt: &a [*a]\n", "[" * 20_000, "? {a: 1}\n: 2\n", "seed: " + "9" * 5000]
DAMAGED += [
    "prompt: !!timestamp zz",
    "prompt: !!bool zz",
    "prompt: !!binary x",
    "prompt: [1]",
    'prompt: "\\uD800 \\0"',
    "",
    "x: " + "y" * 2**20,
]


@pytest.mark.parametrize("text", DAMAGED)
def test_a_run_is_shown_whatever_its_configuration_is(sweep: Path, run: Run, text: str) -> None:
    (sweep / "a-dog-0").mkdir(parents=True)
    (sweep / "a-dog-0" / "config.yaml").write_text(text)
    (found,) = table(collect(sweep, run) / "runs.csv")
    assert (found["folder"], found["prompt"], found["seed"]) == ("a-dog-0", "a-dog", "0")


def test_a_folder_that_was_sent_keeps_nobody_waiting_and_shows_nothing_else(
    leave: Leave, sweep: Path, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "12_0_log.out").write_text("secret")
    leave(seed=0, said=status("failed", job="../../..", reason="no\x1b]0;mine\x07 \ud800"))
    folder = leave(seed=1, metrics_json='{"loss": 1' + "0" * 400 + ', "device": "\\ud800"}')
    for name in ("run.log", "status.json", "metrics.csv"):
        os.mkfifo(folder / name)
    held = leave(seed=2, said=status(), metrics_csv="step,loss\nnan,1\ninf,2\n")
    leave(seed=3).rmdir()
    (sweep / "a-dog-3").symlink_to("a-dog-3")
    with claimed(held):
        found = table(collect(sweep, run) / "runs.csv")
    assert [(one["seed"], one["state"]) for one in found] == [("0", "killed"), ("1", "finished"), ("2", "running")]


def test_runs_without_a_name_that_can_be_written_are_left_out(sweep: Path, run: Run) -> None:
    for name in (b"a-dog-0", b"\xff-0", b"\x1b[2J-0"):
        folder = os.fsencode(sweep) + b"/" + name
        os.makedirs(folder)
        Path(os.fsdecode(folder), "config.yaml").touch()
    place = collect(sweep, run)
    assert len(table(place / "runs.csv")) == 1 and "its name is no text" in (place / "run.log").read_text()


def test_a_damaged_sweep_json_is_told_and_what_has_begun_is_shown(leave: Leave, sweep: Path, run: Run) -> None:
    leave(said=status("finished"), config_yaml="prompt: null\nseed: 4\n", metrics_json="{}")
    (sweep / "sweep.json").write_text('{"runs": [')
    place = collect(sweep, run)
    assert "only runs that have begun are known" in (place / "run.log").read_text()
    assert "<th>seed 4</th>" in (place / "index.html").read_text()


def test_a_folder_without_runs_is_refused_before_anything_is_written(sweep: Path, run: Run) -> None:
    about = ["experiment=collect", f"sweep={sweep}"]
    assert f"sweep={sweep}: there is no such folder" in run.error(*about)
    sweep.mkdir(parents=True)
    assert f"sweep={sweep}: there is no run in it" in run.error(*about)
    (sweep / "sweep.json").write_text('{"runs": []}')
    assert f"sweep={sweep}: there is no run in it" in run.error(*about)
    assert "sweep is missing: say sweep=FOLDER" in run.error("experiment=collect")
    assert [path.name for path in sweep.parent.iterdir()] == [sweep.name]


def test_two_hundred_runs_take_seconds(leave: Leave, sweep: Path, run: Run) -> None:
    log = "a line of the log of a run\n" * 10_000
    rows = "step,loss\n" + "".join(f"{step},0.5\n" for step in range(10_000))
    for seed in range(200):
        leave("x=1", seed=seed, said=status("failed"), run_log=log, metrics_csv=rows)
    started = time.process_time()
    assert len(table(collect(sweep, run) / "runs.csv")) == 200
    assert time.process_time() - started < 10
