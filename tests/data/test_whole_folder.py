"""A folder of weights is the old one or the new one, whatever happens while it is written."""

from __future__ import annotations

import errno
import mmap
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from data import whole_file
from data.whole_file import DRAFT, clear_drafts, restored, whole_folder

WRITE = """
import os, pathlib, signal, sys
from data.whole_file import whole_folder
def kill(): os.kill(os.getpid(), signal.SIGKILL)
path, rename, moves = pathlib.Path(sys.argv[1]), pathlib.Path.rename, []
def counted(source, target):
    if len(moves) == int(sys.argv[2]): kill()
    moves.append(source)
    return rename(source, target)
pathlib.Path.rename = counted
with whole_folder(path) as draft:
    (draft / "a").write_text("new")
    if sys.argv[2] == "-1": kill()
    (draft / "b").write_text("new")
"""
BEFORE, BETWEEN, AFTER = "-1", "1", "2"  # of the renames: the old one aside, the new one there, the old one away


@pytest.fixture
def old(tmp_path: Path) -> Path:
    (tmp_path / "prior").mkdir()
    for name in ("a", "b", "c"):
        (tmp_path / "prior" / name).write_text("old")
    return tmp_path / "prior"


def contents(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in folder.iterdir()}


def beside(folder: Path) -> list[str]:
    return [path.name for path in folder.parent.iterdir() if path != folder]


def write(folder: Path) -> None:
    with whole_folder(folder) as draft:
        (draft / "part").mkdir()
        (draft / "part" / "a").write_text("newest")


def killed(folder: Path, when: str) -> None:
    done = subprocess.run([sys.executable, "-c", WRITE, str(folder), when], cwd=Path(__file__).parents[2])
    assert done.returncode == -signal.SIGKILL


def test_new_folder_takes_the_place_of_the_old_one_and_all_in_it(old: Path) -> None:
    write(old)
    assert [path.name for path in old.iterdir()] == ["part"] and beside(old) == []
    assert (old / "part" / "a").read_text() == "newest"


def test_block_that_fails_leaves_the_old_one_and_nothing_else(old: Path) -> None:
    with pytest.raises(OSError, match="No space left"), whole_folder(old) as draft:
        (draft / "a").write_text("new")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert set(contents(old).values()) == {"old"} and beside(old) == []


def test_first_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no"), whole_folder(tmp_path / "deep" / "prior"):
        raise ValueError("no")
    assert list((tmp_path / "deep").iterdir()) == []


def test_killed_while_it_writes_the_old_one_stands(old: Path) -> None:
    killed(old, BEFORE)
    assert contents(old) == dict.fromkeys("abc", "old") and len(beside(old)) == 1
    write(old)
    assert beside(old) == []


def fails(path: Path) -> None:
    with pytest.raises(ValueError, match="no"), whole_folder(path):
        raise ValueError("no")


@pytest.mark.parametrize("use", [restored, fails])
def test_killed_between_the_renames_the_next_use_finds_the_old_one(old: Path, use: Callable[[Path], object]) -> None:
    killed(old, BETWEEN)
    assert not old.exists()
    use(old)
    assert contents(old) == dict.fromkeys("abc", "old")
    write(old)
    assert beside(old) == []


def test_killed_before_the_old_one_is_away_the_new_one_stands(old: Path) -> None:
    killed(old, AFTER)
    assert contents(restored(old)) == dict.fromkeys("ab", "new")
    write(old)
    assert beside(old) == []


def test_draft_of_another_folder_with_a_longer_name_stays(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "my-prior") as draft:
        write(tmp_path / "prior")
        assert draft.is_dir()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["my-prior", "prior"]


def test_reader_that_puts_back_what_it_missed_does_not_stop_the_writer(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename, moves = Path.rename, list[str]()

    def watched(source: Path, target: Path) -> Path:
        moves.append(source.name)
        moved = rename(source, target)
        if len(moves) == 1:
            restored(old)
        return moved

    monkeypatch.setattr(Path, "rename", watched)
    write(old)
    assert moves.count("prior") == 2 and [path.name for path in old.iterdir()] == ["part"] and beside(old) == []


def test_all_of_it_is_flushed_before_it_has_its_name(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed, flush = list[tuple[str, bool]](), whole_file.flush

    def noting(path: Path) -> None:
        flushed.append((path.name, (old / "c").exists()))
        flush(path)

    monkeypatch.setattr(whole_file, "flush", noting)
    write(old)
    names = [(name if not name.startswith(DRAFT) else DRAFT, before) for name, before in flushed]
    assert set(names[:3]) == {("part", True), ("a", True), (DRAFT, True)} and names[3:] == [(old.parent.name, False)]


def test_open_file_of_the_old_one_stays_readable(old: Path) -> None:
    with (old / "a").open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as seen:
        write(old)
        assert seen[:] == b"old"


def test_link_to_a_folder_stays_one(old: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(old)
    write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and [path.name for path in old.iterdir()] == ["part"]


def test_drafts_of_folders_are_cleared_with_those_of_files(tmp_path: Path) -> None:
    (tmp_path / f"{DRAFT}0-prior" / "unet").mkdir(parents=True)
    (tmp_path / f"{DRAFT}0-prior" / "unet" / f"{DRAFT}1-config.json").touch()
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / f"{DRAFT}2-a.png").touch()
    clear_drafts(tmp_path)
    assert os.listdir(tmp_path) == ["images"] and not os.listdir(tmp_path / "images")
