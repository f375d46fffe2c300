from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch

from data.errors import UserError
from metrics.intervals import Interval
from systems.reports.gallery import Shown, row_of, write_gallery
from systems.reports.pictures import to_bytes
from systems.reports.provenance import write_whole
from systems.reports.tables import Figure, Table, mean_of, number, rate_of, write_runs
from tests.systems.test_reporting import Sources

TABLE = Table(("fid", "runs"), {"<ours>": {"fid": Figure(1.25, Interval(1.0, 1.5)), "runs": "3"}, "theirs": {}}, "by")


@pytest.mark.parametrize(
    ("value", "interval", "text"),
    [
        (0.48312, Interval(0.4, 0.61), "0.483 (0.400 to 0.610)"),
        (123.456, Interval(99.5, 140.0), "123 (100 to 140)"),
        (0.000012, Interval(-0.1, 0.1), "0.0000 (-0.1000 to 0.1000)"),
        (0.0, Interval(0.0, 0.0595), "0.00 (0.00 to 0.06)"),
        (7.0, mean_of([7.0]).interval, "7.00"),
    ],
)
def test_a_figure_has_three_digits_and_its_interval_as_many_decimals(
    value: float, interval: Interval, text: str
) -> None:
    assert str(Figure(value, interval)) == text


def test_a_figure_that_is_not_of_all_runs_says_of_how_many() -> None:
    assert str(Figure(0.5, Interval(0.25, 0.75), n=10)) == "0.500 (0.250 to 0.750), n = 10"
    assert str(Figure(7.0, n=1)) == "7.00, n = 1"


def test_rates_have_intervals_within_0_and_1_and_means_those_of_student() -> None:
    rate, mean = rate_of([1.0, 0.0, 0.0, 0.0]), mean_of([1.0, 0.0, 0.0, 0.0])
    assert rate.value == mean.value == 0.25
    assert rate.interval.low > 0 and rate.interval.high < 1 and mean.interval.low < 0


def test_a_table_is_the_same_in_all_its_forms(tmp_path: Path) -> None:
    TABLE.write(tmp_path)
    assert (tmp_path / "table.md").read_text().splitlines() == [
        "| by | fid | runs |",
        "| --- | --- | --- |",
        "| \\<ours> | 1.25 (1.00 to 1.50) | 3 |",
        "| theirs |  |  |",
    ]
    with (tmp_path / "table.csv").open() as file:
        ours, theirs = csv.DictReader(file)
    assert ours == {
        "by": "<ours>", "fid": "1.25", "fid_low": "1.0", "fid_high": "1.5", "fid_n": "",
        "runs": "3", "runs_low": "", "runs_high": "", "runs_n": "",
    }  # fmt: skip
    assert set(theirs.values()) == {"theirs", ""}
    assert "<th>&lt;ours&gt;</th><td>1.25 (1.00 to 1.50)</td>" in TABLE.html()


def test_a_gallery_needs_no_other_file(tmp_path: Path, rng: torch.Generator) -> None:
    (tmp_path / "command.txt").write_text("python launch.py experiment=evaluate\n")
    shown = Shown(to_bytes(torch.rand(8, 16, 3, generator=rng)), "IoU < 1")
    write_gallery(tmp_path, "janus", "1 of 2 runs are finished", TABLE, ["a", "b"], {"a dog": [shown, None]})
    page = Sources()
    page.feed((tmp_path / "index.html").read_text())
    assert len(page.found) == 1 and page.found[0].startswith("data:image/jpeg;base64,")
    assert "IoU &lt; 1" in (tmp_path / "index.html").read_text()


@pytest.mark.parametrize("n", [4, 8])
def test_a_runs_row_has_as_many_views_as_the_run(tmp_path: Path, n: int) -> None:
    (tmp_path / "config.yaml").write_text(f"report:\n  n_views: {n}\n")
    renders, mesh = np.full((16, 16 * n, 3), 50, np.uint8), np.full((16, 16 * n, 3), 200, np.uint8)
    iio.imwrite(tmp_path / "views.png", np.concatenate([renders, mesh]))
    assert row_of(tmp_path, 0, 8).shape == (8, 8 * n, 3)
    assert (row_of(tmp_path, 0, 8) == 50).all() and (row_of(tmp_path, 1, 8) == 200).all()


def test_a_number_that_is_too_large_is_none() -> None:
    assert number({"loss": 10**400}, "loss") is None and number({"loss": 10**300}, "loss") == 1e300


def test_a_table_for_a_spreadsheet_computes_nothing(tmp_path: Path) -> None:
    row = {"@b": "+cmd|x", "c": "-2"}
    Table(("@b", "c"), {"=a": row, "-1": {"c": Figure(-1.5)}}, "by").write_csv(tmp_path / "table.csv")
    write_runs(tmp_path / "runs.csv", [{"=a": "\tx", "b": -2.5, "c": "-3e5"}])
    with (tmp_path / "table.csv").open() as file:
        named, plain = csv.DictReader(file)
    assert (named["by"], named["'@b"], named["c"]) == ("'=a", "'+cmd|x", "-2")
    assert (plain["by"], plain["c"]) == ("-1", "-1.5")
    assert (tmp_path / "runs.csv").read_text().splitlines() == ["'=a,b,c", "'\tx,-2.5,-3e5"]


def test_what_is_no_number_is_null_in_metrics(tmp_path: Path) -> None:
    write_whole(tmp_path / "metrics.json", {"psnr": math.inf, "of": {"low": -math.inf, "mean": 1.5}, "all": [math.nan]})
    found = json.loads((tmp_path / "metrics.json").read_text(), parse_constant=pytest.fail)
    assert found == {"psnr": None, "of": {"low": None, "mean": 1.5}, "all": [None]}


def test_a_row_that_cannot_be_shown_is_told(tmp_path: Path) -> None:
    for n in ("0", "-3", "x", "1000000000", "true", "${oc.env:HOME}"):
        iio.imwrite(tmp_path / "views.png", np.zeros((16, 64, 3), np.uint8))
        (tmp_path / "config.yaml").write_text(f"report:\n  n_views: {n}\n")
        with pytest.raises(UserError, match="run it again, or leave it out"):
            row_of(tmp_path)
    for text in ("- 1", "a: ["):
        (tmp_path / "config.yaml").write_text(text)
        with pytest.raises(UserError, match="run it again, or leave it out"):
            row_of(tmp_path)
    (tmp_path / "config.yaml").write_text("report:\n  n_views: 8\n")
    for content in (b"", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"):
        (tmp_path / "views.png").write_bytes(content)
        with pytest.raises(UserError, match=r"views\.png cannot be shown \(it is no PNG\): run it again"):
            row_of(tmp_path)
