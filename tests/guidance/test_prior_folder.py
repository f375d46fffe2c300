import os
import shutil

import pytest

from data.errors import UserError
from guidance.prior_folder import PARTS, REPOSITORY, content_hash, find_prior, fingerprint


@pytest.fixture
def folder(tmp_path):
    for part in PARTS:
        (tmp_path / "mine" / part).mkdir(parents=True)
    (tmp_path / "mine" / "tokenizer" / "vocabulary.json").write_text("{}")
    return tmp_path / "mine"


def test_a_whole_folder_is_found(folder):
    assert find_prior(str(folder)) == folder


def test_embedded_priors_are_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("guidance.prior_folder.PARTS", ())
    assert find_prior("guidance") == REPOSITORY / "guidance"


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UserError, match=r"prior\.path=.*nowhere: there is no such folder"):
        find_prior(str(tmp_path / "nowhere"))


def test_a_file_is_refused(tmp_path):
    (tmp_path / "prior.pt").touch()
    with pytest.raises(UserError, match=r"prior\.path=.*prior\.pt: this is a file"):
        find_prior(str(tmp_path / "prior.pt"))


def test_missing_parts_are_named(folder):
    (folder / "vae").rmdir()
    (folder / "scheduler").rmdir()
    with pytest.raises(UserError, match="it lacks vae, scheduler/"):
        find_prior(str(folder))


def test_the_fingerprint_changes_with_the_files(folder):
    before, file = fingerprint(folder, ("tokenizer",)), folder / "tokenizer" / "vocabulary.json"
    assert fingerprint(folder, ("tokenizer",)) == before
    os.utime(file, (1, 1))
    assert fingerprint(folder, ("tokenizer",)) != before


def test_the_content_hash_goes_with_the_bytes_and_not_with_the_place(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    assert content_hash(folder) == content_hash(tmp_path / "copy")
    (tmp_path / "copy" / "tokenizer" / "vocabulary.json").write_text("[]")
    assert content_hash(folder) != content_hash(tmp_path / "copy")
