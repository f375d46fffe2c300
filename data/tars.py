"""Tar files as data sets have them: members `<key>.<ending>`, those of one sample side by side (as webdataset). Nothing
is ever unpacked to the disk, and no member is read that says it is larger than `LARGEST`."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.errors import UserError
from data.whole_file import whole

LARGEST = 2**26  # bytes of a member
MOST = 2**20  # members of one tar file
LARGEST_HEADER = 2**14  # bytes that say more of a member than has room in its block: a path has 4096


@dataclass(frozen=True)
class Member:
    """A file inside a tar file, which is read when it is asked for."""

    tar: str
    name: str
    offset: int
    size: int

    def read(self) -> bytes:
        with open(self.tar, "rb") as file:
            file.seek(self.offset)
            return file.read(self.size)


EXTENDED = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


class _Header(tarfile.TarInfo):
    """tarfile takes a time for such a header that grows with the square of its length, whatever it says."""

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in EXTENDED and self.size > LARGEST_HEADER:
            raise tarfile.ReadError(f"a header has {self.size} bytes, more than {LARGEST_HEADER}")
        return super()._proc_member(tar)  # type: ignore[misc]  # which is there for subclasses, says tarfile


def write_tar(path: Path, contents: Iterable[tuple[str, bytes]]) -> None:
    """Whole or not at all; the same contents give the same bytes, whoever writes them, and when."""
    with whole(path) as draft, tarfile.open(draft, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in contents:
            member = tarfile.TarInfo(name)  # of nobody, at time 0
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


class Samples:
    """Those of several tar files. Packed: full-size data have millions of members, and every process a list."""

    def __init__(self, files: Sequence[Path], key: str) -> None:
        self.tars, self.names = [str(file) for file in files], list[str]()
        self._tar, self._first, self._offsets, self._sizes = array("i"), array("q"), array("q"), array("q")
        self._endings = list[tuple[str, ...]]()
        same: dict[tuple[str, ...], tuple[str, ...]] = {}
        for number, file in enumerate(files):
            for name, parts in read_samples(file, key).items():
                self.names.append(name)
                self._tar.append(number)
                self._first.append(len(self._offsets))
                self._endings.append(same.setdefault(tuple(parts), tuple(parts)))
                self._offsets.extend(member.offset for member in parts.values())
                self._sizes.extend(member.size for member in parts.values())

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> dict[str, Member]:
        """As of `read_samples`."""
        tar, name, first = self.tar(index), self.names[index], self._first[index]
        members = enumerate(self._endings[index], first)
        return {end: Member(tar, f"{name}.{end}", self._offsets[i], self._sizes[i]) for i, end in members}

    def tar(self, index: int) -> str:
        return self.tars[self._tar[index]]

    def endings(self, index: int) -> tuple[str, ...]:
        return self._endings[index]

    @property
    def fingerprint(self) -> str:
        """Changes with the names, places and sizes of the members, and whenever one of the files is written."""
        names = repr((self.names, self._endings, [written(file) for file in self.tars])).encode()
        return hashlib.sha256(names + self._offsets.tobytes() + self._sizes.tobytes()).hexdigest()


def written(file: str | Path) -> tuple[int, int]:
    """Its size and when it was written last, in ns: what differs once another is in its place."""
    found = os.stat(file)
    return found.st_size, found.st_mtime_ns


def read_samples(path: Path, key: str) -> dict[str, dict[str, Member]]:
    """Of each sample its members by their endings: `a.0.png` is member `0.png` of sample `a`.

    key: under which the user named the file.
    """
    samples: dict[str, dict[str, Member]] = {}
    for member in _members(path, key):
        folder, _, name = member.name.rpartition("/")
        stem, _, ending = name.partition(".")
        samples.setdefault(f"{folder}/{stem}".lstrip("/"), {})[ending.lower()] = member
    return samples


def _members(path: Path, key: str) -> list[Member]:
    found: list[Member] = []
    try:
        with tarfile.open(path, "r:", tarinfo=_Header) as tar:
            for m in tar:
                if m.size < 0 or (found and m.offset_data <= found[-1].offset):
                    raise tarfile.ReadError(f"{m.name} lies before the one before it")
                if m.issparse() or not m.isfile():
                    continue
                found.append(Member(str(path), m.name, m.offset_data, m.size))
                if len(found) > MOST:
                    raise UserError(f"{key}={path} has more than {MOST} members: say smaller tar files")
    except (tarfile.TarError, OSError, ValueError, ArithmeticError, RecursionError, MemoryError) as error:
        raise UserError(f"{key}={path} cannot be read as an uncompressed tar file ({error})") from error
    if large := next((member for member in found if member.size > LARGEST), None):
        raise UserError(f"{key}={path}: {large.name} says it is {large.size} bytes, more than {LARGEST}: leave it out")
    return found
