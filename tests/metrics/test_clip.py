import json
import shutil
from contextlib import suppress

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPModel

from data.errors import UserError
from data.samplers import turntable
from data.toybox.captions import parse
from metrics.clip import Clip
from metrics.clip_folder import find_clip
from metrics.clip_score import score
from metrics.preprocessing import CLIP_MEAN, CLIP_STD, Preprocessing
from metrics.text_image import TextImageModel, UnknownWordsError
from metrics.toybox_truth import true_views
from metrics.views import ClipViews
from systems.training.mini_clip import new_clip, new_clip_tokenizer, save_clip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "tiny"
    save_clip(new_clip(width=32, layers=1, text_width=32, text_layers=1, shared=16), new_clip_tokenizer(), path)
    return path


def test_a_folder_that_transformers_wrote_embeds_as_transformers_does(folder, rng):
    clip = Clip(str(folder))
    model = CLIPModel.from_pretrained(folder, dtype=torch.float32)
    images = torch.rand(3, 64, 64, 3, generator=rng)
    texts = ["a red dog", "a blue car, front view", "a green hat on a white owl, side view"]
    mean, std = torch.tensor(CLIP_MEAN), torch.tensor(CLIP_STD)
    pixels = ((images - mean) / std).movedim(-1, 1)
    with torch.no_grad():
        ids = [new_clip_tokenizer()(text, return_tensors="pt").input_ids for text in texts]  # each without padding
        wanted = [model(input_ids=one, pixel_values=pixels) for one in ids]
    torch.testing.assert_close(clip.embed_images(images), wanted[0].image_embeds, atol=1e-5, rtol=1e-5)
    text_embeds = torch.cat([one.text_embeds for one in wanted])
    torch.testing.assert_close(clip.embed_texts(texts), text_embeds, atol=1e-5, rtol=1e-5)
    assert isinstance(clip, TextImageModel)
    assert clip.name == "tiny" and clip.logit_scale == pytest.approx(model.logit_scale.exp().item())


def test_large_batches_are_embedded_in_parts(folder, rng):
    clip = Clip(str(folder))
    images = torch.rand(70, 64, 64, 3, generator=rng)
    torch.testing.assert_close(clip.embed_images(images)[-3:], clip.embed_images(images[-3:]))
    assert clip.embed_texts(["a dog"] * 70).shape == (70, 16)


def test_pictures_of_any_size_are_resized_as_pillow_does(rng):
    coarse = torch.rand(1, 3, 9, 12, generator=rng)
    fine = torch.nn.functional.interpolate(coarse, (96, 128), mode="bicubic").clamp(0, 1)
    preprocess = Preprocessing(resize=64, crop=(64, 64), mean=(0.0,) * 3, std=(1.0,) * 3)
    found = preprocess(fine.movedim(1, -1))
    as_bytes = (fine[0].movedim(0, -1) * 255).round().byte().numpy()
    whole = Image.fromarray(as_bytes).resize((85, 64), Image.Resampling.BICUBIC).crop((10, 0, 74, 64))
    wanted = torch.from_numpy(np.asarray(whole)).movedim(-1, 0) / 255
    assert found.shape == (1, 3, 64, 64)
    assert (found[0] - wanted).abs().max() < 2 / 255


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ({"size": {"shortest_edge": 64}, "crop_size": {"height": 48, "width": 32}}, (64, (48, 32))),
        ({"size": 64, "crop_size": 32}, (64, (32, 32))),
        ({"size": {"height": 64, "width": 48}, "do_center_crop": False}, ((64, 48), None)),
    ],
)
def test_old_and_new_preprocessor_files_are_read(tmp_path, said, wanted):
    (tmp_path / "p.json").write_text(json.dumps(said))
    found = Preprocessing.read(tmp_path / "p.json")
    assert (found.resize, found.crop) == wanted


def test_what_is_missing_is_named(folder, tmp_path):
    with pytest.raises(UserError, match=r"clip\.path=nowhere: there is no such folder"):
        find_clip("nowhere")
    with pytest.raises(UserError, match="no config and no weights and no tokenizer and no preprocessor"):
        find_clip(str(tmp_path))
    for file in folder.iterdir():
        if file.name != "preprocessor_config.json":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(UserError, match=r"has no preprocessor \(preprocessor_config\.json\)"):
        Clip(str(tmp_path))
    (tmp_path / "preprocessor_config.json").write_text("{}")
    (tmp_path / "config.json").write_text('{"model_type": "clip_text_model"}')
    with pytest.raises(UserError, match="model_type=clip_text_model"):
        Clip(str(tmp_path))


def test_damaged_weights_are_told(folder, tmp_path):
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(UserError, match=r"clip\.path=.*transformers cannot read it"):
        Clip(str(tmp_path))


def test_the_shipped_one_tells_front_from_back_and_toys_by_their_colours():
    clip = Clip("assets/mini_clip")
    prompt = "a red dog wearing a blue hat"  # held out of its training
    images, _ = true_views(parse(prompt), turntable(4, 64))
    p_front = ClipViews(clip).p_front(images, prompt)
    assert p_front.argmax() == 0 and p_front[0] > 0.5 > p_front[2]
    candidates = [prompt, "a red dog wearing a green hat", "a green dog wearing a blue hat", "a red dog"]
    assert score(clip, images, [prompt] * 4, candidates).retrieved.all()


def test_words_that_were_not_learned_are_refused(folder):
    clip = Clip(str(folder))
    assert clip.embed_texts(["a red dog"]).shape == (1, 16)
    with pytest.raises(UnknownWordsError, match='tiny has not learned all words of "a red hamburger"'):
        clip.embed_texts(["a red dog", "a red hamburger"])


def test_code_in_a_folder_is_not_imported(folder, tmp_path):
    """As a model of the hub that brings its own tokenizer: nobody is asked whether to trust it."""
    shutil.copytree(folder, tmp_path / "clip")
    (tmp_path / "clip" / "own.py").write_text(f"open({str(tmp_path / 'canary')!r}, 'w')\nclass Own: pass\n")
    for name, where in (("tokenizer_config.json", ["own.Own", "own.Own"]), ("config.json", "own.Own")):
        file = tmp_path / "clip" / name
        told = json.loads(file.read_text()) | {"auto_map": {"AutoTokenizer": where, "AutoModel": "own.Own"}}
        file.write_text(json.dumps(told | ({"tokenizer_class": "Own"} if "tokenizer" in name else {})))
    with suppress(UserError):  # or it does without that code
        Clip(str(tmp_path / "clip"))
    assert not (tmp_path / "canary").exists()
