import hashlib
import os

import pytest

from guidance.weights import checksum as module
from guidance.weights.checksum import checksum, fingerprint


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "mine" / "tokenizer").mkdir(parents=True)
    (tmp_path / "mine" / "tokenizer" / "vocabulary.json").write_text("{}")
    return tmp_path / "mine"


def test_the_fingerprint_changes_with_the_content_and_not_with_the_time(folder):
    before, file = fingerprint(folder, ("tokenizer",)), folder / "tokenizer" / "vocabulary.json"
    os.utime(file, (1, 1))
    assert fingerprint(folder, ("tokenizer",)) == before
    file.write_text("[]")
    assert fingerprint(folder, ("tokenizer",)) != before


def test_the_fingerprint_stays_when_the_folder_moves(folder, tmp_path):
    before = fingerprint(folder, ("tokenizer",))
    assert fingerprint(folder.rename(tmp_path / "yours"), ("tokenizer",)) == before


def test_a_large_file_is_read_once(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "REMEMBERED_FROM", 4)
    file, cache = tmp_path / "file", tmp_path / "cache"
    file.write_bytes(b"weights")
    digest = checksum(file, cache)
    assert digest == hashlib.sha256(b"weights").hexdigest()
    monkeypatch.setattr(module, "_sha256", lambda _: "read again")
    assert checksum(file, cache) == digest
    os.utime(file, (1, 1))
    assert checksum(file, cache) == "read again"


def test_a_checksum_that_cannot_be_remembered_is_computed(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "REMEMBERED_FROM", 0)
    (tmp_path / "file").write_bytes(b"weights")
    assert checksum(tmp_path / "file", tmp_path / "file" / "cache") == hashlib.sha256(b"weights").hexdigest()
