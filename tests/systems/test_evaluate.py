from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from omegaconf import OmegaConf

from data.errors import FailedError, UserError
from systems.command.run_folder import Interrupted, RunFolder
from systems.command.signals import listening
from systems.evaluation import sweep
from systems.evaluation.evaluate import Evaluate, share
from systems.evaluation.score_table import ScoreTable
from systems.reports.tables import Figure

PROMPTS = ["a red dog", "a horse, of gold"]
SETTINGS = {"plain": ["guidance=sds"], "better": ["guidance=mv_sds"]}
STUB = Path(__file__).with_name("launch_stub.py")
CONFIG = OmegaConf.create({"prompt": None, "seed": 0})
Job = Callable[..., tuple[Evaluate, RunFolder]]


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    iio.imwrite(tmp_path / "views.png", np.full((64, 256, 3), 90, np.uint8))
    monkeypatch.setattr(sweep, "LAUNCH", STUB)
    monkeypatch.setattr(sweep, "LOOK_EVERY", 0.01)

    def make(**changed: object) -> tuple[Evaluate, RunFolder]:
        asked = {
            "settings": SETTINGS,
            "prompts": PROMPTS,
            "seeds": [0, 1],
            "measures": ["janus", "faceless", "seconds"],
        }
        return Evaluate(output=str(tmp_path), name="test", **(asked | changed)), RunFolder(
            str(tmp_path), "test", "t", 0
        )

    return make


def go(made: tuple[Evaluate | ScoreTable, RunFolder]) -> RunFolder:
    evaluate, folder = made
    evaluate.run(folder, folder.open(CONFIG, ["experiment=evaluate"]))
    return folder


def test_each_setting_is_one_sweep_over_prompts_and_seeds(job: Job, tmp_path: Path) -> None:
    go(job(common=["quality=high"], said=["experiment=evaluate", "prior.path=mine", "job.shard=0/2"]))
    asked = (tmp_path / "asked.txt").read_text().splitlines()
    assert asked == [
        f'--multirun prompt="a red dog","a horse, of gold" seed=0,1 output={tmp_path} name=test/{name} '
        f"quality=high {said} prior.path=mine"
        for name, (said,) in SETTINGS.items()
    ]


def test_the_table_has_rates_means_and_every_run(job: Job) -> None:
    folder = go(job())
    found = json.loads(folder.metrics.read_text())
    assert (found["runs"], found["of"]) == (8, 8)
    plain, better = found["settings"]["plain"], found["settings"]["better"]
    assert (plain["janus"], plain["faceless"], better["janus"], better["faceless"]) == (0.5, 0.5, 0.0, 0.0)
    assert 0.4 < better["janus_high"] < 0.6 and better["janus_low"] == 0
    assert plain["seconds"] == 10.5 and plain["seconds_low"] < 10
    with (folder.path / "runs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["setting"] for row in rows[:2]] == ["plain", "better"] and len(rows) == 8
    assert {row["prompt"] for row in rows} == set(PROMPTS)
    assert "| plain | 4 | 0.500 (0.150 to 0.850) |" in (folder.path / "table.md").read_text()


def test_a_rate_of_few_runs_says_so(job: Job) -> None:
    evaluate, _ = job(measures=["janus", "seconds"])
    judged = {"janus": 1, "seconds": 3.0}
    found = {run: judged if run.seed == 0 or run.setting == "plain" else {"seconds": 3.0} for run in evaluate.runs}
    table = evaluate.table(found)
    assert str(table.rows["better"]["janus"]).endswith(", n = 2") and ", n" not in str(table.rows["better"]["seconds"])
    assert ", n" not in str(table.rows["plain"]["janus"])


def test_the_page_and_the_sheet_show_the_truth_beside_each_run(job: Job) -> None:
    folder = go(job())
    text = (folder.path / "index.html").read_text()
    assert "8 of 8 runs are finished" in text and text.count("<img") == 2 + 8  # the horse has no truth
    assert "a horse, of gold, seed 1" in text and "janus 1.00" in text
    sheet = iio.imread(folder.path / "sheet.png")
    assert sheet.shape == (2 * 64, 3 * 8 * 64, 3)
    assert (sheet[64:, : 8 * 64] == 255).all() and abs(int(sheet[0, -1, 0]) - 90) < 3


def test_shards_make_their_own_prompts_and_the_table_is_of_all_that_is_there(job: Job, tmp_path: Path) -> None:
    first = go(job(shard="0/2"))
    assert not first.metrics.exists() and "4 of 8 runs are finished" in (first.path / "index.html").read_text()
    asked = (tmp_path / "asked.txt").read_text()
    assert "a red dog" in asked and "horse" not in asked
    assert go(job(shard="1/2")).metrics.exists()
    (tmp_path / "asked.txt").unlink()
    (tmp_path / "test" / "t-0" / "metrics.json").unlink()
    go(job(make="nothing"))
    assert not (tmp_path / "asked.txt").exists()


def test_a_share_is_every_nth_prompt() -> None:
    prompts = list("abcde")
    assert share(prompts, "") == prompts and share(prompts, "1/2") == ["b", "d"]
    assert sorted(share(prompts, "0/3") + share(prompts, "1/3") + share(prompts, "2/3")) == prompts
    for wrong in ("2/2", "0/6", "1", "a/b", "-1/2"):
        with pytest.raises(UserError, match=f"job.shard={wrong}: say 0/4"):
            share(prompts, wrong)


def test_only_what_is_missing_is_made(job: Job, tmp_path: Path) -> None:
    go(job(seeds=[0]))
    (tmp_path / "asked.txt").unlink()
    (tmp_path / "test" / "plain" / "a-red-dog-0" / "metrics.json").unlink()
    (tmp_path / "test" / "t-0" / "metrics.json").unlink()
    go(job(seeds=[0]))
    (asked,) = (tmp_path / "asked.txt").read_text().splitlines()
    assert 'prompt="a red dog" seed=0' in asked and "name=test/plain" in asked


def test_a_setting_that_fails_is_told_and_the_others_go_on(job: Job) -> None:
    folder = go(job(settings={"broken": ["guidance=none"], **SETTINGS}))
    assert "broken: 4 runs were not made: fourview: guidance=none: there is no such option" in folder.log.read_text()
    assert "8 of 12 runs" in (folder.path / "index.html").read_text()


def test_nothing_finished_is_a_failure(job: Job) -> None:
    with pytest.raises(FailedError, match=r"no finished run in .*/test: the logs there say why"):
        go(job(settings={"broken": []}))


def test_who_stops_it_stops_the_run_in_progress_too(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate, folder = job(settings={"slow": []})
    folder.open(CONFIG, ["experiment=evaluate"])
    started: list[subprocess.Popen] = []
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *args, **how: started.append(popen(*args, **how)) or started[-1])
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGTERM)).start()
    told = r"0 of 4 missing runs were made. Continue with:\npython launch.py exp"
    with listening(), pytest.raises(Interrupted, match=told):
        evaluate.run(folder, None)
    assert started[0].poll() is not None


def test_scores_stand_side_by_side_with_their_intervals(job: Job, tmp_path: Path) -> None:
    for row, fid in (("ours", 12.0), ("data", 3.0)):
        place = tmp_path / "table" / row / f"{row}-0"
        place.mkdir(parents=True)
        iio.imwrite(place / "sheet.png", np.zeros((4, 8, 3), np.uint8))
        scores = {"fid_x": fid, "fid_x_low": fid - 1, "fid_x_high": fid + 1, "fid_infinite_x": 1.0, "captions": 6}
        (place / "metrics.json").write_text(json.dumps(scores))
    table = ScoreTable({"ours": [], "data": [], "broken": []}, str(tmp_path), "table")
    folder = go((table, RunFolder(str(tmp_path), "table", "table", 0)))
    assert not folder.metrics.exists() and "2 of 3 rows are there" in (folder.path / "index.html").read_text()
    text = (folder.path / "table.md").read_text()
    assert "| ours | 12.0 (11.0 to 13.0) | 1.00 |" in text and "captions" not in text
    assert str(Figure(3.0)) in text
