import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import launch
from data.errors import UserError
from guidance.diffusion_prior import DiffusionPrior
from guidance.prior import Condition
from guidance.prior_folder import PARTS
from guidance.weights.conversion import REST, read_original, write_folder, write_original
from guidance.weights.original_file import OriginalCheckpoint
from guidance.weights.tensor_file import open_tensors

LAYOUTS = ["sd21-4view.pt", "sd15-4view.pt", "sd15.ckpt", "sd21.safetensors"]


@pytest.fixture(scope="module")
def converted(original, tmp_path_factory):
    """The name of a layout -> the folder that its file becomes."""
    root = tmp_path_factory.mktemp("converted")

    def make(name):
        folder = root / name
        if not folder.exists():
            write_folder(OriginalCheckpoint(original(name)), folder, "epsilon", None)
        return folder

    yield make
    shutil.rmtree(root)


@pytest.fixture
def command(monkeypatch, capsys):
    """Runs launch.py in this process; returns its exit code and what it printed."""

    def run(*overrides):
        monkeypatch.setattr(sys, "argv", ["launch.py", *overrides])
        code = launch.main()
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return run


@pytest.fixture
def a_folder(tmp_path):
    """What can be seen of a prior without loading it."""
    for part in PARTS:
        (tmp_path / "prior" / part).mkdir(parents=True)
    return tmp_path / "prior"


def same(found, expected):
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype and torch.equal(found[name], tensor), name


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_there_and_back_again_no_byte_is_lost(original, converted, tmp_path, name, suffix):
    folder = converted(name)
    write_original(tmp_path / f"back{suffix}", read_original(folder, folder))
    back, source = open_tensors(tmp_path / f"back{suffix}"), open_tensors(original(name))
    same(back.tensors, source.tensors)
    assert back.wrapped == (source.wrapped and suffix == ".pt")
    assert (tmp_path / f"back{suffix}").stat().st_size < 1.01 * original(name).stat().st_size


@pytest.mark.parametrize("name", ["sd21-4view.pt", "sd15.ckpt"])
def test_the_folder_is_the_same_prior_as_the_file(original, converted, name):
    n_view = 4 if "4view" in name else 1
    file, folder = (DiffusionPrior(str(path), n_view, "float32") for path in (original(name), converted(name)))
    assert folder.latent_shape == file.latent_shape and folder.image_size == file.image_size
    torch.testing.assert_close(folder.alphas_cumprod, file.alphas_cumprod)
    words = ["a red hat! 'tis it?", "köln"] * 2
    text = file.encode_text(words)
    torch.testing.assert_close(folder.encode_text(words), text)
    noisy, camera = torch.randn(4, 4, 8, 8), torch.randn(4, 16) if n_view == 4 else None
    predict = lambda prior: prior.predict_noise(noisy, torch.full((4,), 500), Condition(text, camera))
    torch.testing.assert_close(predict(folder), predict(file))
    images = torch.rand(1, 64, 64, 3)
    torch.testing.assert_close(folder.encode(images), file.encode(images))


def test_weights_that_were_trained_go_back_too(converted, tmp_path):
    folder = converted("sd15-4view.pt")
    unet = DiffusionPrior(str(folder), 4, "float32").unet
    with torch.no_grad():
        unet.class_embedding.linear_2.bias += 1
    unet.save_pretrained(tmp_path / "unet")
    for part in ("vae", "text_encoder", "tokenizer", "scheduler"):
        (tmp_path / part).symlink_to(folder / part)
    with pytest.raises(UserError, match=r"has no original_rest\.safetensors.*point job\.rest at a folder that has"):
        read_original(tmp_path, tmp_path)
    before, after = read_original(folder, folder).tensors, read_original(tmp_path, folder).tensors
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    assert changed == ["model.diffusion_model.camera_embed.2.bias"]


def test_what_our_networks_do_not_use_is_kept_apart(converted):
    with safe_open(converted("sd21-4view.pt") / REST, "pt") as rest:
        names = set(rest.keys())
    assert "betas" in names and "cond_stage_model.model.text_projection" in names
    assert sum(name.startswith("cond_stage_model.model.transformer.resblocks.2.") for name in names) == 12
    assert len(names) == 12 + 12 + 2


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
def test_ports_that_keep_the_original_s_unet_open(original, converted, tmp_path, suffix):
    """As the community's of MVDream: the UNet under the original names, everything else in diffusers' layout."""
    folder = converted("sd21-4view.pt")
    for part in ("vae", "text_encoder", "tokenizer", "scheduler"):
        (tmp_path / part).symlink_to(folder / part)
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "config.json").write_text(json.dumps({"_class_name": "MultiViewUNetModel", "image_size": 32}))
    prefix = "model.diffusion_model."
    tensors = open_tensors(original("sd21-4view.pt")).tensors
    unet = {name.removeprefix(prefix): w.half() for name, w in tensors.items() if name.startswith(prefix)}
    save = save_file if suffix == ".safetensors" else torch.save
    save(unet, tmp_path / "unet" / f"diffusion_pytorch_model{suffix}")
    port, whole = (DiffusionPrior(str(path), 4, "float16") for path in (tmp_path, folder))
    assert port.image_size == 256
    same(port.unet.state_dict(), whole.unet.state_dict())
    unet.pop("out.2.bias")
    save(unet, tmp_path / "unet" / f"diffusion_pytorch_model{suffix}")
    with pytest.raises(UserError, match=r"its unet/ cannot be read .*1 of 690 tensors are missing \(.*out\.2\.bias"):
        DiffusionPrior(str(tmp_path), 4)


def test_one_command_converts_and_one_restores(original, tmp_path, command):
    source, folder, back = original("sd15-4view.pt"), tmp_path / "folder", tmp_path / "back.safetensors"
    runs = f"output={tmp_path / 'outputs'}"
    code, printed = command("experiment=convert_prior", f"prior.path={source}", f"job.out={folder}", runs)
    assert code == 0, printed
    run = Path(printed.strip().splitlines()[-1])
    assert json.loads((run / "metrics.json").read_text())["networks"]["unet"]["tensors"] == 690
    code, printed = command("experiment=restore_original", f"prior.path={folder}", f"job.out={back}", runs)
    assert code == 0, printed
    same(load_file(back), open_tensors(source).tensors)
    again = f"name=again job.out={folder}".split()
    code, printed = command("experiment=convert_prior", f"prior.path={source}", *again, runs)
    assert code == 2 and f"job.out={folder} exists; name another, or remove it" in printed


@pytest.mark.parametrize(
    ("experiment", "name"), [("convert_prior", "folder"), ("restore_original", "back.safetensors")]
)
def test_killed_after_it_has_written_the_same_command_goes_on(
    original, converted, tmp_path, command, monkeypatch, experiment, name
):
    source = original("sd15-4view.pt") if experiment == "convert_prior" else converted("sd15-4view.pt")
    out = tmp_path / name
    told = [f"experiment={experiment}", f"prior.path={source}", f"job.out={out}", f"output={tmp_path / 'outputs'}"]
    with monkeypatch.context() as patch:
        patch.setattr("systems.convert_prior.write_whole", lambda *_: 1 / 0)
        assert command(*told)[0] == 1 and out.exists()
    written = out.stat()
    code, printed = command(*told, "name=again")
    assert code == 2 and f"job.out={out} exists; name another, or remove it" in printed
    code, printed = command(*told)
    assert code == 0 and out.stat() == written, printed
    assert (Path(printed.strip().splitlines()[-1]) / "metrics.json").exists()


def test_what_another_has_put_where_a_killed_run_wrote_is_not_taken_for_its_own(
    original, tmp_path, command, monkeypatch
):
    told = ["experiment=convert_prior", f"prior.path={original('sd15-4view.pt')}", f"job.out={tmp_path / 'folder'}"]
    told += [f"output={tmp_path / 'outputs'}"]
    with monkeypatch.context() as patch:
        patch.setattr("systems.convert_prior.write_whole", lambda *_: 1 / 0)
        command(*told)
    shutil.rmtree(tmp_path / "folder")
    (tmp_path / "folder").mkdir()
    code, printed = command(*told)
    assert code == 2 and "exists; name another, or remove it" in printed
    (tmp_path / "folder").rmdir()
    assert command(*told)[0] == 0 and (tmp_path / "folder" / "unet").is_dir()


def test_converting_can_change_the_number_format(original, tmp_path, command):
    path, runs = f"prior.path={original('sd15-4view.pt')}", f"output={tmp_path}"
    code, printed = command("experiment=convert_prior", path, "job.dtype=bfloat16", runs)
    assert code == 0, printed
    folder = Path(printed.strip().splitlines()[-1]) / "prior"
    unet = load_file(folder / "unet" / "diffusion_pytorch_model.safetensors")
    assert {tensor.dtype for tensor in unet.values()} == {torch.bfloat16}
    assert load_file(folder / REST)["betas"].dtype == torch.float32


@pytest.mark.parametrize(
    ("experiment", "path", "more", "message"),
    [
        ("convert_prior", "sd21.safetensors", (), "prior.prediction_type=auto: a single file of Stable Diffusion 2"),
        ("convert_prior", None, (), "this is a folder in diffusers' layout already; it needs no conversion"),
        ("restore_original", "sd15.ckpt", (), "this is a file; name a folder that experiment=convert_prior has"),
        ("restore_original", None, ("job.out=x.bin",), "job.out=x.bin: the name of the file must end in .pt, .ckpt"),
        ("restore_original", None, (), "has no original_rest.safetensors"),
    ],
)
def test_what_cannot_be_converted_is_told(original, a_folder, tmp_path, command, experiment, path, more, message):
    path = original(path) if path else a_folder
    code, printed = command(f"experiment={experiment}", f"prior.path={path}", f"output={tmp_path}", *more)
    assert code == 2 and message in printed, printed
