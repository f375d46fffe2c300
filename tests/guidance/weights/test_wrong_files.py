import argparse
import json
import shutil

import pytest
import torch
from safetensors.torch import save_file

from data.errors import UserError
from guidance.diffusion_prior import DiffusionPrior
from guidance.prior_folder import find_prior
from guidance.weights.opening import open_weights


@pytest.fixture
def changed(stored, tmp_path):
    """(name of a layout, what to do to its tensors) -> the path of a file of the result."""

    def make(name, change):
        tensors = dict(stored(name))
        change(tensors)
        torch.save(tensors, tmp_path / "changed.pt")
        return str(tmp_path / "changed.pt")

    return make


def without(*words):
    def change(tensors):
        for name in [name for name in tensors if any(word in name for word in words)]:
            del tensors[name]

    return change


def test_missing_tensors_are_counted_and_five_of_them_named(changed):
    path = changed("sd15.ckpt", without("model.diffusion_model.output_blocks.11"))
    with pytest.raises(UserError) as error:
        open_weights(path)
    assert f"prior.path={path}: this is a file whose UNet is another or not whole: 38 of 686" in str(error.value)
    named = [word for word in str(error.value).split() if word.startswith("(model.") or word.startswith("model.")]
    assert len(named) == 5 and "..." in str(error.value)


def test_unexpected_tensors_are_named(changed):
    path = changed("sd15.ckpt", lambda w: w.update({"model.diffusion_model.label_emb.0.0.weight": torch.zeros(1)}))
    with pytest.raises(
        UserError, match=r"UNet has 1 unknown tensors \(model\.diffusion_model\.label_emb\.0\.0\.weight"
    ):
        open_weights(path)


def test_another_shape_is_named(changed):
    path = changed("sd15.ckpt", lambda w: w.update({"model.diffusion_model.out.0.bias": torch.zeros(3)}))
    with pytest.raises(
        UserError, match=r"1 of 686 tensors have another shape \(model\.diffusion_model\.out\.0\.bias\)"
    ):
        open_weights(path)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("model.diffusion_model.", r"without model\.diffusion_model\.\*, the UNet; its \d+ tensors are \(betas"),
        ("first_stage_model.", r"without first_stage_model\.\*, the autoencoder"),
        ("cond_stage_model.", r"without cond_stage_model\.model\.\*, the text encoder"),
        ("middle_block.1.proj_in", r"whose UNet lacks model\.diffusion_model\.middle_block\.1\.proj_in\.weight"),
        ("input_blocks.4.0", r"whose UNet is another or not whole: 12 of 686 tensors are missing"),
        ("encoder.layers.1.", r"whose text encoder is another or not whole: 16 of \d+ tensors are missing"),
    ],
)
def test_a_part_that_is_not_there_is_named(changed, part, message):
    with pytest.raises(UserError, match=message):
        open_weights(changed("sd15.ckpt", without(part)))


def test_another_noise_schedule_is_refused(changed):
    path = changed("sd15.ckpt", lambda w: w.update(betas=torch.linspace(0.0001, 0.02, 1000)))
    with pytest.raises(UserError, match="with another noise schedule than Stable Diffusion's: see its betas"):
        open_weights(path)


def test_what_stable_diffusion_2_predicts_must_be_said(original):
    with pytest.raises(UserError, match=r"prior\.prediction_type=auto: a single file of Stable Diffusion 2"):
        open_weights(str(original("sd21.safetensors")))
    assert open_weights(str(original("sd21-4view.pt"))).schedule().prediction_type == "epsilon"
    assert open_weights(str(original("sd15.ckpt"))).schedule().prediction_type == "epsilon"


@pytest.mark.parametrize("name", ["sd15.ckpt", "sd21.safetensors"])
@pytest.mark.parametrize("kept", [0.3, 0.99])
def test_a_file_that_ends_too_early_is_recognised_without_torch(original, tmp_path, name, kept):
    whole = original(name).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(UserError, match=r"this is a file that ends too early, after [\d,]+ bytes; download it again"):
        find_prior(str(tmp_path / name))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\n<!DOCTYPE html><html><body>Sign in</body></html>", "a file that holds a web page, not weights"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "only points at the weights: say git lfs pull"),
        (b"just some text, longer than sixteen bytes", "holds no weights: neither safetensors nor what torch.save"),
        (b"\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01" + bytes(9), "cannot be read"),
    ],
)
def test_other_files_are_told_by_what_they_are(tmp_path, content, message):
    (tmp_path / "model.ckpt").write_bytes(content)
    with pytest.raises(UserError, match=rf"prior\.path=.*model\.ckpt: this is .*{message}"):
        open_weights(str(tmp_path / "model.ckpt"))


def test_a_run_s_checkpoint_is_no_prior(tmp_path):
    state = {"state_dict": {"scene.geometry": torch.ones(2)}, "optimizer_states": [], "loops": {}, "callbacks": {}}
    torch.save(state, tmp_path / "last.ckpt")
    with pytest.raises(UserError, match="that is the checkpoint of a run, not a prior"):
        open_weights(str(tmp_path / "last.ckpt"))


def test_a_file_that_could_run_code_is_not_opened(tmp_path):
    torch.save({"state_dict": {}, "callback": argparse.Namespace()}, tmp_path / "model.ckpt")
    with pytest.raises(UserError, match=r"holds more than tensors.*take the \.safetensors of the same model"):
        open_weights(str(tmp_path / "model.ckpt"))


def test_files_from_before_torch_wrote_archives_open(original, stored, tmp_path):
    torch.save(stored("sd15.ckpt"), tmp_path / "old.ckpt", _use_new_zipfile_serialization=False)
    assert open_weights(str(tmp_path / "old.ckpt")).schedule().prediction_type == "epsilon"


def test_other_weights_are_no_prior(tmp_path):
    save_file({"encoder.weight": torch.ones(2), "decoder.weight": torch.ones(2)}, tmp_path / "vae.safetensors")
    with pytest.raises(UserError, match=r"its 2 tensors are \(decoder\.weight, encoder\.weight\)"):
        open_weights(str(tmp_path / "vae.safetensors"))


def test_an_image_size_must_fit_the_coarsest_cell(original, tmp_path):
    path = str(shutil.copy(original("sd15.ckpt"), tmp_path))
    assert DiffusionPrior(path, n_view=1, image_size=128).latent_shape == (4, 16, 16)
    with pytest.raises(UserError, match=r"prior\.image_size=100 must be a multiple of 64"):
        DiffusionPrior(path, n_view=1, image_size=100)


def headed(header: object, body: bytes = bytes(64)) -> bytes:
    """A file of safetensors, or what looks like one."""
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def one_tensor(**changed: object) -> dict[str, object]:
    return {"a": {"dtype": "F32", "shape": [16], "data_offsets": [0, 64], **changed}}


@pytest.mark.parametrize(
    "header",
    [
        *(one_tensor(data_offsets=[0, end]) for end in ("4", None, [4], -4, float("nan"), 4.0, True, 4)),
        *(one_tensor(data_offsets=wrong) for wrong in ({"1": 4}, [], 4, None)),
        one_tensor(dtype="XX"),
        one_tensor(shape=[2**62, 4]),
        one_tensor(shape=[-1]),
        {},
        {"__metadata__": {"format": "pt"}},
        {"a": [1]},
    ],
)
def test_a_header_of_safetensors_that_cannot_be_is_told(tmp_path, header):
    (tmp_path / "a.safetensors").write_bytes(headed(header))
    with pytest.raises(UserError, match=r"prior\.path=.*a\.safetensors: this is a file that is damaged.*; download it"):
        open_weights(str(tmp_path / "a.safetensors"))


@pytest.mark.parametrize("wrap", [lambda names: names, lambda names: {"state_dict": names}])
def test_what_is_not_named_by_words_is_no_weight(tmp_path, wrap):
    torch.save(wrap({1: torch.ones(2), (2, 3): torch.ones(2)}), tmp_path / "a.pt")
    with pytest.raises(UserError, match=r"this is a file without model\.diffusion_model\.\*"):
        open_weights(str(tmp_path / "a.pt"))


def test_a_run_s_checkpoint_with_odd_names_is_no_prior(tmp_path):
    torch.save({"state_dict": {1: 2}, "optimizer_states": [], "callbacks": {}}, tmp_path / "last.ckpt")
    with pytest.raises(UserError, match="that is the checkpoint of a run, not a prior"):
        open_weights(str(tmp_path / "last.ckpt"))
