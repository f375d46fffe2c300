from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import pytest
import torch

from data.torch_file import DamagedError, ProgramError, load


class Malicious:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, ...]:
        return (eval, (f"open({str(self.canary)!r}, 'w')",))


@pytest.mark.parametrize("mmap", [False, True])
def test_what_was_saved_is_read(tmp_path: Path, mmap: bool) -> None:
    torch.save({"x": torch.arange(3)}, tmp_path / "x.pt")
    found = load(tmp_path / "x.pt", mmap)
    assert isinstance(found, dict) and found["x"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("as_archive", [False, True])
def test_a_program_in_a_checkpoint_is_not_run(tmp_path: Path, as_archive: bool) -> None:
    torch.save({"x": Malicious(tmp_path / "canary")}, tmp_path / "x.pt", _use_new_zipfile_serialization=as_archive)
    with pytest.raises(ProgramError, match="which could run as a program"):
        load(tmp_path / "x.pt")
    (tmp_path / "y.pt").write_bytes(pickle.dumps(Malicious(tmp_path / "canary")))
    with pytest.raises(ValueError, match="that "):
        load(tmp_path / "y.pt")
    assert not (tmp_path / "canary").exists()


def test_an_archive_that_grows_is_not_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", bytes(2**22))
    with pytest.raises(DamagedError, match="unpacks to more than it is"):
        load(tmp_path / "x.pt")


def test_a_flipped_bit_is_seen(tmp_path: Path) -> None:
    torch.save({"x": torch.zeros(1000)}, tmp_path / "x.pt")
    content = bytearray((tmp_path / "x.pt").read_bytes())
    content[content.index(bytes(3000)) + 1000] ^= 4
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(DamagedError, match="is damaged"):
        load(tmp_path / "x.pt")


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 half", b"\x80\x02}q\x00(X\x01", b"\x80\x04K\x01."])
def test_other_files_are_value_errors(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(ValueError, match="cannot be read"):
        load(tmp_path / "x.pt")
