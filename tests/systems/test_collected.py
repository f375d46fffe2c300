"""What a collection shows of runs that are damaged, on their way, written by anyone, or recorded for W&B."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

import launch
from systems.command.claim import claimed
from tests.conftest import Run
from tests.systems.conftest import Leave
from tests.systems.test_collect import Links, collect, seen, status, table

EVIL = "\x1b[31m\x07<img src=x onerror=alert(1)>\rgone | [x](javascript:y)"


def test_a_run_that_failed_counts_in_no_table(leave: Leave, sweep: Path, run: Run) -> None:
    leave(seed=0, said=status("finished"), metrics_json='{"loss": 1.0}')
    leave(seed=1, said=status("failed"), metrics_json='{"loss": 9.0}')
    (row,) = table(collect(sweep, run) / "table.csv")
    assert (row["runs"], row["of"], row["loss"]) == ("1", "2", "1.0")


def test_figures_that_are_gone_or_empty_are_told(leave: Leave, sweep: Path) -> None:
    gone, empty = seen(leave(seed=0, said=status("finished")), sweep), leave(seed=1, metrics_json="{}")
    assert gone.state == "interrupted" and "metrics.json is gone: the same sweep again writes it" in gone.happened
    assert "its metrics.json says nothing: the same sweep again writes it" in seen(empty, sweep).happened


def test_of_a_run_on_its_way_the_last_of_each_figure_is_known(leave: Leave, sweep: Path) -> None:
    rows = "step,loss,clip_score,janus\n1,3.0,,\n2,2.5,20.5,1\n3,2.0,,\n4,1.5,25.5,\n5,1.0,,\n6,0.5"
    left = seen(leave(said=status("interrupted"), metrics_csv=rows), sweep)
    assert left.figures == {"step": 5, "loss": 1.0, "clip_score": 25.5, "janus": 1}


@pytest.mark.parametrize(
    ("files", "shown"),
    [
        (["images/000002.png", "images/000010.png", "images/.draft-1-000012.png"], "images/000010.png"),
        (["images/dog-0-0.png", "grid.png"], "grid.png"),
        (["images/000010.png", "views.png"], "views.png"),
        (["views.png", "turntable.mp4"], "turntable.mp4"),
    ],
)
def test_a_run_without_a_turntable_has_a_picture(
    files: list[str], shown: str, leave: Leave, sweep: Path, run: Run
) -> None:
    folder = leave(said=status("interrupted"))
    (folder / "images").mkdir()
    for at, name in enumerate(files):
        (folder / name).touch()
        os.utime(folder / name, (at, at))
    place = collect(sweep, run)
    ((tag, url),) = Links(place / "index.html").found
    assert tag == ("video" if shown.endswith("mp4") else "img") and (place / unquote(url)).samefile(folder / shown)


def test_links_lead_somewhere_where_the_output_is_one_itself(leave: Leave, sweep: Path, run: Run) -> None:
    (leave(said=status("finished")) / "turntable.mp4").touch()
    deep = sweep.parent.parent / "a" / "disk" / "far"
    deep.parent.mkdir(parents=True)
    sweep.parent.rename(deep)
    sweep.parent.symlink_to(deep)
    place = collect(sweep, run).resolve()
    ((_, url),) = Links(place / "index.html").found
    assert os.path.exists(os.path.normpath(place / unquote(url)))  # as a browser goes, without asking the disk


def test_who_made_a_run_and_when_is_in_the_table_and_the_page_has_its_hour(leave: Leave, sweep: Path, run: Run) -> None:
    leave(seed=0, said=status("finished", job="12_3"), metrics_json='{"loss": 1.0, "host": "figure"}')
    leave(seed=1)
    place = collect(sweep, run)
    first, second = table(place / "runs.csv")
    assert (first["host"], first["job"], first["updated"]) == ("n1", "12_3", "2026-01-01T00:01:00")
    assert first["started"] and not second["host"]
    assert re.search(r"\nas of \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC<", (place / "index.html").read_text())


def test_a_measure_that_no_run_has_is_told_with_the_nearest(leave: Leave, sweep: Path, run: Run) -> None:
    leave(said=status("finished"), metrics_json='{"janus": 1, "opacity": 0.5, "device": "cpu"}')
    told = lambda name: told_of(run, "experiment=collect", f"sweep={sweep}", f"job.measures=[{name}]")
    assert "job.measures: no run has jnaus; did you mean janus?" in told("jnaus")
    assert "no run has device; there are:" in told("device")
    run.overrides.append("job.measures=[opacity,clip_score]")
    assert table(collect(sweep, run) / "table.csv")[0]["opacity"] == "0.5"


def told_of(run: Run, *words: str) -> str:
    """Where a run has begun, so that its log has been printed, too."""
    run.monkeypatch.setattr(sys, "argv", ["launch.py", *run.overrides[1:], *words])
    assert launch.main() == 2
    return run.capsys.readouterr().err


def test_what_anyone_may_write_moves_no_cursor_and_is_no_markup(leave: Leave, sweep: Path, run: Run) -> None:
    leave(
        "<b>", '=cmd|"/c calc"!A1', said=status("failed", reason=EVIL), run_log="the end\n", told=[f"x={EVIL}", "y=-1"]
    )
    leave("c", "b", said=status("finished"), metrics_json=json.dumps({"loss": -1.5, "name": "@x", "-a": "+1"}))
    place = collect(sweep, run)
    for name in ("happened.md", "table.md", "run.log"):
        text = (place / name).read_text()
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f]", text) and not re.search(r"(?<!\\)(<img|<b>|\[x)", text), name
    assert "\n## \\<b>/" in (place / "happened.md").read_text()
    first, second = table(place / "runs.csv")
    assert first["prompt"] == '\'=cmd|"/c calc"!A1' and first["y"] == "-1"
    assert (second["loss"], second["name"], second["'-a"]) == ("-1.5", "'@x", "+1")


def test_the_one_line_that_sends_all_offline_runs_is_said(leave: Leave, sweep: Path, run: Run) -> None:
    places = [leave(seed=seed, said=status("running")) / "wandb" for seed in range(3)]
    names = ["offline-run-1-aa", "offline-run-2-bb", "offline-run-1-aa-1", "offline-run-4-cc"]
    for place, name in zip((places[0], places[1], places[0], places[2]), names, strict=True):
        (place / name).mkdir(parents=True)
    (places[1] / names[1] / "run-bb.wandb.synced").touch()
    said = lambda: (collect(sweep, run) / "run.log").read_text().splitlines()
    both = [str(places[0] / names[0]), str(places[0] / names[2])]
    with claimed(places[2].parent):
        assert shlex.join(["wandb", "sync", "--append", *both]) in said()
    assert shlex.join(["wandb", "sync", "--append", *both, str(places[2] / names[3])]) in said()


def test_several_sweeps_are_what_each_has_asked_for(leave: Leave, sweep: Path, run: Run) -> None:
    leave("x=1", said=status("finished"), told=["x=1"], metrics_json='{"loss": 1.0}')
    leave(seed=1)
    (sweep / "older-0").mkdir()
    (sweep / "older-0" / "config.yaml").touch()
    shutil.copytree(sweep, sweep.parent / "second" / "within")
    collect(sweep, run)
    found = table(collect(sweep.parent, run) / "runs.csv")
    assert [(one["folder"], one["setting"], one["state"]) for one in found] == [
        ("second/within/x=1/a-dog-0", "sweep=second/within, x=1", "finished"),
        ("second/within/a-dog-1", "sweep=second/within", "waiting"),
        ("sweep/x=1/a-dog-0", "sweep=sweep, x=1", "finished"),
        ("sweep/a-dog-1", "sweep=sweep", "waiting"),
    ]
