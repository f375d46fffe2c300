from __future__ import annotations

import json
from pathlib import Path

import pytest

from data.captioned_assets import list_assets
from data.errors import UserError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("models/red_fox-2.glb", "models/boat.OBJ", "chair.ply", "notes.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_without_captions_files_are_what_they_are_called(folder: Path) -> None:
    assets = list_assets(folder, None, "job.captions")
    assert [(a.file, a.captions, a.split) for a in assets] == [
        ("chair.ply", ["chair"], "train"),
        ("models/boat.OBJ", ["boat"], "train"),
        ("models/red_fox-2.glb", ["red fox"], "train"),
    ]
    assert [a.key for a in assets] == ["chair", "models-boat", "models-red_fox-2"]


def test_rows_give_captions_split_and_licence(folder: Path) -> None:
    rows = [
        {"file": "models/red_fox-2.glb", "captions": ["a fox", "a red fox"], "split": "heldout", "licence": "CC0-1.0"},
        {"file": "chair.ply", "caption": "a chair"},
    ]
    (folder / "captions.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    fox, chair = list_assets(folder, None, "job.captions")
    assert (fox.captions, fox.split, fox.licence) == (["a fox", "a red fox"], "heldout", "CC0-1.0")
    assert (chair.captions, chair.split, chair.licence) == (["a chair"], "train", None)


@pytest.mark.parametrize(("name", "delimiter"), [("captions.txt", "\t"), ("captions.csv", ",")])
def test_a_table_may_name_files_without_folder_and_ending(folder: Path, name: str, delimiter: str) -> None:
    lines = ["boat", "a boat"], ["chair.ply", "a chair"], ["models/boat", "a blue boat"], ["gone.glb", "gone"]
    (folder / name).write_text("\n".join(delimiter.join(line) for line in lines))
    (folder / "heldout.txt").write_text("chair.ply\n")
    assets = list_assets(folder, None, "job.captions")
    assert [(a.file, a.captions, a.split) for a in assets] == [
        ("models/boat.OBJ", ["a boat", "a blue boat"], "train"),
        ("chair.ply", ["a chair"], "heldout"),
        ("gone.glb", ["gone"], "train"),
    ]


def test_no_two_objects_have_one_key(tmp_path: Path) -> None:
    for name in ("a b.glb", "a-b.glb", "a-b.obj", "x" * 90 + ".glb"):
        (tmp_path / name).touch()
    keys = [asset.key for asset in list_assets(tmp_path, None, "job.captions")]
    assert keys == ["a-b", "a-b-2", "a-b-3", "x" * 72]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", "line 1 is no JSON"),
        ('{"file": "a.glb"}', "line 1 has no file, or no captions"),
        ('{"file": "a.glb", "captions": []}', "line 1 has no file, or no captions"),
        ('{"file": "a.glb", "captions": [3]}', "line 1 has no file, or no captions"),
        ('["a.glb"]', "line 1 has no file, or no captions"),
        ('{"file": "a.glb", "caption": "a", "split": "../x"}', "line 1: split is '../x'"),
        ('{"file": "../a.glb", "caption": "a"}', "../a.glb is not inside"),
        ('{"file": "/a.glb", "caption": "a"}', "/a.glb is not inside"),
        ("", "lists nothing"),
    ],
)
def test_a_wrong_row_is_named(row: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text(row)
    with pytest.raises(UserError, match=message):
        list_assets(tmp_path, str(tmp_path / "mine.jsonl"), "job.captions")


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"job.captions=/nowhere.csv: there is no such file"):
        list_assets(tmp_path, "/nowhere.csv", "job.captions")
