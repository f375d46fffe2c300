from __future__ import annotations

import json
from pathlib import Path

import pytest

from data.captioned_assets import list_assets
from data.errors import UserError

ODD = '{"file": "chair.ply", "caption": "a chair\u2028with arms"}'


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


@pytest.mark.parametrize(
    "line", ["models/red_fox-2.glb", "./models/red_fox-2.glb ", "models/red_fox-2", "red_fox-2.glb", "red_fox-2"]
)
@pytest.mark.parametrize("named", ["models/red_fox-2.glb", "./models/red_fox-2.glb", None])
def test_whatever_a_file_is_called_it_is_held_out(folder: Path, line: str, named: str | None) -> None:
    if named:
        (folder / "captions.jsonl").write_text(json.dumps({"file": named, "caption": "a fox"}))
    (folder / "heldout.txt").write_text(f"\ufeff{line}\r\n\n", encoding="utf-8")
    held_out = [a.file for a in list_assets(folder, None, "job.captions") if a.split == "heldout"]
    assert held_out == ["models/red_fox-2.glb"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"boat\nfox\n", "heldout.txt: no 3D file is called fox; say its path from"),
        (b"boot\n", "heldout.txt: boot may be a/boot.glb or b/boot.glb; say one of these paths"),
        (b"f\xf6x\n", "heldout.txt cannot be read .*; say it in UTF-8"),
    ],
)
def test_a_line_that_holds_out_nothing_is_told(folder: Path, content: bytes, message: str) -> None:
    for name in ("a/boot.glb", "b/boot.glb"):
        (folder / name).parent.mkdir()
        (folder / name).touch()
    (folder / "heldout.txt").write_bytes(content)
    with pytest.raises(UserError, match=message):
        list_assets(folder, None, "job.captions")


def test_no_file_is_in_two_splits(folder: Path) -> None:
    rows = [
        {"file": "chair.ply", "caption": "a chair", "split": "heldout"},
        {"file": "./chair.ply", "caption": "a seat"},
    ]
    table = folder / "captions.jsonl"
    table.write_text("\n".join(map(json.dumps, rows)))
    (chair,) = list_assets(folder, None, "job.captions")
    assert (chair.captions, chair.split) == (["a chair", "a seat"], "heldout")
    table.write_text("\n".join(json.dumps(row | {"split": str(n)}) for n, row in enumerate(rows)))
    with pytest.raises(UserError, match=r"captions.jsonl: chair.ply is in two splits, 0 and 1; say one"):
        list_assets(folder, None, "job.captions")
    table.write_text(json.dumps(rows[1] | {"split": "train"}))
    (folder / "heldout.txt").write_text("chair")
    with pytest.raises(UserError, match=r"heldout.txt: chair.ply is in two splits, train and heldout; say one"):
        list_assets(folder, None, "job.captions")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "boat,a boat\nchair,a chair, with arms\n", "line 2 has 3 columns: a caption with a comma in it"),
        ("a.csv", 'boat,"a boat\nchair,a chair\n', "unexpected end of data"),
        ("a.tsv", "boat\ta boat\there", "line 1 has 3 columns"),
        ("a.csv", "boat, \n", "line 1 has no file, or no caption"),
        ("a.csv", ",a boat\n", "line 1 has no file, or no caption"),
        ("a.csv", "boat\n", "line 1 has no file, or no caption"),
    ],
)
def test_no_caption_is_lost_in_a_table(folder: Path, name: str, content: str, message: str) -> None:
    (folder / name).write_text(content)
    with pytest.raises(UserError, match=message):
        list_assets(folder, str(folder / name), "job.captions")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", 'boat\t"a boat\nchair\ta chair\u2028with arms'),
        ("a.csv", 'uid,caption\nboat,"""a boat"\nchair,"a chair\u2028with arms"'),
        ("a.jsonl", '{"file": "models/boat.OBJ", "caption": "\\"a boat"}\n' + ODD),
    ],
)
def test_captions_keep_quotes_and_odd_blanks(folder: Path, name: str, content: str) -> None:
    (folder / name).write_text(content, encoding="utf-8")
    assets = list_assets(folder, str(folder / name), "job.captions")
    assert [(a.file, a.captions) for a in assets] == [
        ("models/boat.OBJ", ['"a boat']),
        ("chair.ply", ["a chair\u2028with arms"]),
    ]


def test_a_header_is_none_if_a_file_is_called_so(folder: Path) -> None:
    (folder / "path.glb").touch()
    (folder / "captions.csv").write_text("path,a garden path\n")
    assert [a.file for a in list_assets(folder, None, "job.captions")] == ["path.glb"]


def test_a_name_without_words_is_no_caption(folder: Path) -> None:
    (folder / "_.glb").touch()
    with pytest.raises(UserError, match=r"the name of _.glb cannot be its caption; rename it, or say captions"):
        list_assets(folder, None, "job.captions")


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
        ('["a.glb"]', "line 1 holds a list, not a table"),
        ('{"file": "a.glb", "caption": "a", "split": "../x"}', "line 1: split is '../x'"),
        ('{"file": "../a.glb", "caption": "a"}', "../a.glb is not inside"),
        ('{"file": "/a.glb", "caption": "a"}', "/a.glb is not inside"),
        ('{"file": "", "caption": "a"}', "line 1 has no file, or no captions"),
        ('{"file": ".", "caption": "a"}', "line 1 has no file, or no captions"),
        ('{"file": "a.glb", "caption": "a", "split": 5}', "line 1: split is '5'"),
        ('{"file": "a.glb", "caption": "a", "split": "%s"}' % ("s" * 300), "line 1: split is 's+'; say one word"),
        ('{"file": "a\\u0000.glb", "caption": "a"}', "is not inside"),
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


def test_a_link_out_of_the_folder_is_no_file_of_it(tmp_path: Path) -> None:
    (tmp_path / "secret.glb").touch()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.glb").symlink_to("../secret.glb")
    with pytest.raises(UserError, match=r"a\.glb is a link out of the folder; put the file in its place"):
        list_assets(tmp_path / "mine", None, "captions")
