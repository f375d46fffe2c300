import pytest

from data.errors import UserError
from guidance.prior_folder import PARTS, REPOSITORY, HubId, copy_part, find_prior


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


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "prior.pt").touch()
    with pytest.raises(UserError, match=r"prior\.path=.*prior\.pt: this is a file of 0 bytes; download it again"):
        find_prior(str(tmp_path / "prior.pt"))


def test_what_looks_like_a_repository_and_is_no_folder_is_one():
    assert find_prior("someone/a-model") == HubId("someone/a-model")


@pytest.mark.parametrize("path", ["assets/minni", "/someone/a-model", "./a-model", "someone/a/model"])
def test_a_mistyped_folder_is_no_repository(path):
    with pytest.raises(UserError, match="there is no such folder"):
        find_prior(path)


def test_missing_parts_are_named(folder):
    (folder / "vae").rmdir()
    (folder / "scheduler").rmdir()
    with pytest.raises(UserError, match="it lacks vae, scheduler/"):
        find_prior(str(folder))


def test_a_part_is_copied_without_what_is_not_the_priors(tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "mine" / "vae").mkdir(parents=True)
    (tmp_path / "mine" / "vae" / "config.json").write_text("{}")
    copy_part(tmp_path / "mine", "vae", tmp_path / "copy")
    assert (tmp_path / "copy" / "vae" / "config.json").read_text() == "{}"
    (tmp_path / "mine" / "vae" / "notes.txt").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(UserError, match=r"prior\.path=.*notes.txt is a link out of the folder"):
        copy_part(tmp_path / "mine", "vae", tmp_path / "second")
    assert not (tmp_path / "second").exists()


def test_a_part_of_the_hubs_cache_is_copied_through_its_links(tmp_path):
    """Which has every file under its checksum, and of each snapshot links to them."""
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "0a1b").write_text("{}")
    (tmp_path / "snapshots" / "main" / "vae").mkdir(parents=True)
    (tmp_path / "snapshots" / "main" / "vae" / "config.json").symlink_to("../../../blobs/0a1b")
    copy_part(tmp_path / "snapshots" / "main", "vae", tmp_path / "copy")
    copied = tmp_path / "copy" / "vae" / "config.json"
    assert copied.read_text() == "{}" and not copied.is_symlink()
