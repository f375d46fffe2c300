import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from guidance import prompt_cache
from guidance.prior_folder import REPOSITORY
from guidance.prompt_cache import encode_cached

SENTENCES = ["a red dog", "a hat", ""]


class LetterPrior:
    """The embedding of a sentence is its length; remembers what it was asked."""

    vocabulary, n_view, image_size, latent_shape = None, 1, 8, (4, 1, 1)
    alphas_cumprod = torch.ones(1)

    def __init__(self, text_fingerprint: str = "letters") -> None:
        self.text_fingerprint = text_fingerprint
        self.asked: list[list[str]] = []

    def encode(self, images, rng=None): ...

    def decode(self, latents): ...

    def predict_noise(self, noisy, t, condition): ...

    def encode_text(self, prompts):
        self.asked.append(prompts)
        return embeddings(prompts)


def embeddings(prompts):
    return torch.tensor([len(prompt) + 0.1 for prompt in prompts])[:, None, None].expand(-1, 2, 3)


@pytest.fixture
def prior():
    return LetterPrior()


def test_sentences_come_back_in_order_encoded_once(prior, tmp_path):
    twice = [*SENTENCES, SENTENCES[0]]
    for _ in range(2):
        torch.testing.assert_close(encode_cached(prior, twice, tmp_path), embeddings(twice), rtol=0.0, atol=0.0)
    assert prior.asked == [SENTENCES]
    assert [file.suffix for file in tmp_path.iterdir()] == [".safetensors"] * 3


def test_only_new_sentences_are_encoded_all_at_once(prior, tmp_path):
    encode_cached(prior, SENTENCES[:1], tmp_path)
    found = encode_cached(prior, ["a cat", *SENTENCES], tmp_path)
    torch.testing.assert_close(found, embeddings(["a cat", *SENTENCES]))
    assert prior.asked == [SENTENCES[:1], ["a cat", *SENTENCES[1:]]]


def test_another_text_encoder_is_another_embedding(prior, tmp_path):
    encode_cached(prior, SENTENCES, tmp_path)
    other = LetterPrior("other letters")
    encode_cached(other, SENTENCES, tmp_path)
    assert other.asked == [SENTENCES]
    assert len(list(tmp_path.iterdir())) == 6


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def another_kind(file: Path) -> None:
    file.write_text("not a tensor at all, but long enough to hold a header")


def another_tensor(file: Path) -> None:
    save_file({"other": torch.zeros(2, 3)}, file)


@pytest.mark.parametrize("damage", [cut, empty, another_kind, another_tensor])
def test_a_damaged_or_foreign_file_is_made_again(prior, tmp_path, damage, caplog):
    encode_cached(prior, ["a red dog"], tmp_path)
    [file] = tmp_path.iterdir()
    damage(file)
    torch.testing.assert_close(encode_cached(prior, SENTENCES, tmp_path), embeddings(SENTENCES))
    assert f"{file} cannot be used and is made again" in caplog.text
    torch.testing.assert_close(load_file(file)[file.stem], embeddings(["a red dog"])[0])


def test_a_folder_in_a_files_place_only_warns(prior, tmp_path, caplog):
    encode_cached(prior, ["a red dog"], tmp_path)
    [file] = tmp_path.iterdir()
    file.unlink()
    file.mkdir()
    torch.testing.assert_close(encode_cached(prior, ["a red dog"], tmp_path), embeddings(["a red dog"]))
    assert "embeddings are not kept" in caplog.text
    assert list(tmp_path.iterdir()) == [file]


def test_a_cache_that_cannot_be_written_only_warns(prior, tmp_path, caplog):
    (tmp_path / "file").touch()
    found = encode_cached(prior, SENTENCES, tmp_path / "file" / "cache")
    torch.testing.assert_close(found, embeddings(SENTENCES))
    assert len(caplog.messages) == 1 and "embeddings are not kept" in caplog.text


def test_a_disk_that_is_full_leaves_no_half_file(prior, tmp_path, monkeypatch, caplog):
    def write_half(tensors, file):
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(prompt_cache, "save_file", write_half)
    torch.testing.assert_close(encode_cached(prior, SENTENCES, tmp_path), embeddings(SENTENCES))
    assert "No space left" in caplog.text
    assert list(tmp_path.iterdir()) == []


FILL = """
import random, sys, time
from pathlib import Path
import torch
from guidance.prompt_cache import encode_cached

class Prior:
    alphas_cumprod, text_fingerprint = torch.ones(1), "shared"
    def encode_text(self, prompts):
        return torch.stack([embedding(prompt) for prompt in prompts])

def embedding(prompt):
    return int(prompt) + torch.linspace(0, 1, 77 * 1024).reshape(77, 1024)

folder, random = Path(sys.argv[1]), random.Random(sys.argv[2])
prompts = [str(i) for i in range(24)]
(folder / sys.argv[2]).touch()
while not (folder / "go").exists():
    time.sleep(0.001)
for _ in range(60):
    some = random.sample(prompts, 12)
    found = encode_cached(Prior(), some, folder / "cache")
    assert all(torch.equal(one, embedding(prompt)) for one, prompt in zip(found, some)), "a wrong embedding"
    for file in (folder / "cache").glob("[!.]*.safetensors"):
        if random.random() < 0.3:
            file.unlink(missing_ok=True)
encode_cached(Prior(), prompts, folder / "cache")
"""


def test_processes_that_fill_one_cache_at_once_read_only_whole_files(tmp_path):
    """Each also deletes files, so that the others go on writing what it reads. A torn file would be a warning."""
    command = lambda name: [sys.executable, "-c", FILL, str(tmp_path), name]
    names = ("one", "two")
    processes = [subprocess.Popen(command(name), cwd=REPOSITORY, stderr=subprocess.PIPE, text=True) for name in names]
    deadline = time.monotonic() + 60
    while not all((tmp_path / name).exists() for name in names) and time.monotonic() < deadline:
        time.sleep(0.01)
    (tmp_path / "go").touch()
    for process in processes:
        _, errors = process.communicate(timeout=600)
        assert (process.returncode, errors) == (0, "")
    files = list((tmp_path / "cache").iterdir())
    assert {file.suffix for file in files} == {".safetensors"}
    assert len(files) == 24
