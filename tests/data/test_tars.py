"""Tar files of others: a member's name is only a key."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

import data.tars
from data.errors import UserError
from data.tars import read_samples


def made(path: Path, members: Iterable[tarfile.TarInfo]) -> Path:
    with tarfile.open(path, "w") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(bytes(member.size)))
    return path


def member(name: str, size: int = 3, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = size, kind, "/etc/passwd" if kind != tarfile.REGTYPE else ""
    return info


def test_names_that_would_leave_a_folder_are_keys_and_nothing_is_unpacked(tmp_path: Path) -> None:
    path = made(tmp_path / "a.tar", [member("../../up.png"), member("/etc/cron.d/x.png"), member("c:\\w.png")])
    assert {part["png"].read() for part in read_samples(path, "path").values()} == {bytes(3)}
    assert [file.name for file in tmp_path.iterdir()] == ["a.tar"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE])
def test_what_is_no_file_is_left_out(tmp_path: Path, kind: bytes) -> None:
    path = made(tmp_path / "a.tar", [member("a.png", 0, kind), member("b.png")])
    assert list(read_samples(path, "path")) == ["b"]


def test_more_members_than_the_limit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data.tars, "MOST", 4)
    assert len(read_samples(made(tmp_path / "a.tar", map(member, "abcd")), "path")) == 4
    with pytest.raises(UserError, match=r"path=.*b\.tar has more than 4 members"):
        read_samples(made(tmp_path / "b.tar", map(member, "abcde")), "path")


@pytest.mark.parametrize("size", [b"\x80" + bytes(3) + b"\x7f" * 8, b"\xff" * 11 + b"\x00", b"7" * 11 + b"\x00"])
def test_a_size_that_cannot_be_ends_in_a_sentence(tmp_path: Path, size: bytes) -> None:
    """Base 256, negative, and larger than the file."""
    content = bytearray(made(tmp_path / "a.tar", [member("a.png"), member("b.png")]).read_bytes())
    content[124:136] = size
    content[148:156] = b" " * 8
    content[148:156] = b"%06o\x00 " % sum(content[:512])
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(UserError, match=r"path=.*(cannot be read|says it is)"):
        read_samples(tmp_path / "a.tar", "path")


def test_a_header_that_would_take_minutes_is_not_parsed(tmp_path: Path) -> None:
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 400_000
    (tmp_path / "a.tar").write_bytes(header.tobuf() + b"1" * 2**19)
    started = time.monotonic()
    with pytest.raises(UserError, match="a header has 400000 bytes, more than 16384"):
        read_samples(tmp_path / "a.tar", "path")
    assert time.monotonic() - started < 5


def test_a_long_path_has_room_in_its_header(tmp_path: Path) -> None:
    name = "/".join(["folder" * 10] * 30) + "/a.png"
    for kind in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        (tmp_path / "a.tar").write_bytes(tarfile.TarInfo(name).tobuf(kind) + bytes(1024))
        assert list(read_samples(tmp_path / "a.tar", "path")) == [name.removesuffix(".png")]
