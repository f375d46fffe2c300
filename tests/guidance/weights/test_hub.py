import shutil
from fnmatch import fnmatch

import pytest

from data.errors import UserError
from guidance.diffusion_prior import DiffusionPrior
from guidance.weights import hub


@pytest.fixture
def repository(prior_folder, tmp_path, monkeypatch):
    """A repository, the hub that has it, and the names of the files that were fetched."""
    source, copy, fetched = shutil.copytree(prior_folder(), tmp_path / "hub"), tmp_path / "copy", set()

    def snapshot_download(name, allow_patterns):
        assert name == "someone/a-model"
        for file in filter(lambda file: file.is_file(), source.rglob("*")):
            place = str(file.relative_to(source))
            if any(fnmatch(place, pattern) for pattern in allow_patterns):
                (copy / place).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, copy / place)
                fetched.add(place)
        return copy

    monkeypatch.setattr(hub, "snapshot_download", snapshot_download)
    return source, fetched


def test_of_a_repository_only_what_is_used_is_fetched(repository):
    source, fetched = repository
    for other in ("unet/diffusion_pytorch_model.fp16.safetensors", "unet/diffusion_pytorch_model.bin", "model.ckpt"):
        (source / other).touch()
    DiffusionPrior("someone/a-model", device="cpu").encode_text(["a red dog"])
    assert len(fetched) == 8 and not {"model.ckpt", "unet/diffusion_pytorch_model.bin"} & fetched


def test_older_repositories_have_other_files_of_weights(repository):
    source, fetched = repository
    (source / "unet" / "diffusion_pytorch_model.safetensors").rename(source / "unet" / "diffusion_pytorch_model.bin")
    hub.fetch(hub.HubId("someone/a-model"))
    assert "unet/diffusion_pytorch_model.bin" in fetched and "vae/diffusion_pytorch_model.safetensors" in fetched


def test_a_repository_without_the_layout_is_refused(repository):
    source, _ = repository
    shutil.rmtree(source / "scheduler")
    with pytest.raises(UserError, match=r"prior\.path=someone/a-model: it lacks scheduler/; a prior has unet"):
        DiffusionPrior("someone/a-model")


def test_without_a_network_one_sentence_says_so():
    with pytest.raises(UserError, match=r"^prior\.path=someone/a-model: there is no such folder here, .* be reached$"):
        DiffusionPrior("someone/a-model")
