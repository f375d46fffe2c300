from __future__ import annotations

import os
from pathlib import Path

import pytest

from data.reading import is_inside, parse_table, read_json, read_text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[1]", "holds a list"),
        (b"{", "is no JSON"),
        (b"[" * 10**5, "nested too deeply"),
        (b"\xff", "no text in UTF-8"),
    ],
)
def test_what_is_no_table_is_told(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_json(tmp_path / "x.json")


def test_no_more_is_read_than_the_limit(tmp_path: Path) -> None:
    with (tmp_path / "x").open("wb") as file:
        file.truncate(2**40)  # a hole: it takes no room on the disk
    with pytest.raises(ValueError, match="is larger than 1,000 bytes"):
        read_text(tmp_path / "x", 1000)


def test_what_is_no_file_is_told_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x")
    for path in (tmp_path / "x", Path("/dev/zero")):
        with pytest.raises(ValueError, match="is a pipe or a device"):
            read_text(path, 1000)
    with pytest.raises(IsADirectoryError):
        read_text(tmp_path, 1000)


def test_a_mark_at_the_start_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\xef\xbb\xbf{}")
    assert parse_table(read_text(tmp_path / "x", 5)) == {}


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "..", "C:\\x", "a\\..\\..\\x", "\\\\host\\x"])
def test_a_path_that_leaves_the_folder_is_told(tmp_path: Path, path: str) -> None:
    assert not is_inside(path, tmp_path) and is_inside("a/b..c/d.png", tmp_path)


def test_a_link_that_leaves_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "secret").touch()
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "out").symlink_to(tmp_path)
    (mine / "file").symlink_to("../secret")
    (mine / "here").symlink_to(mine)
    (tmp_path / "link to mine").symlink_to(mine)
    assert not is_inside("out/secret", mine) and not is_inside("file", mine)
    assert is_inside("here/a.png", mine) and is_inside("a.png", tmp_path / "link to mine")


@pytest.mark.parametrize("path", ["a\0.png", "\ud800.png"])
def test_a_name_that_no_file_can_have_is_in_no_folder(tmp_path: Path, path: str) -> None:
    assert not is_inside(path, tmp_path)
