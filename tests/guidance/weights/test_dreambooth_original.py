"""A subject for a prior in one file of the original layout, whose text encoder reads byte pairs."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from data.errors import UserError
from guidance.diffusion_prior import DiffusionPrior
from guidance.learner import Learner
from guidance.weights.opening import open_weights
from systems.training.personal_prior import write_prior

ROOT = Path(__file__).resolve().parents[3]
SMALL = [
    "prior.image_size=64", "sampler.steps=2", "device=cpu", "trainer.max_steps=2", "report.size=32",
    "report.n_frames=8", "export.resolution=24", "export.texture_size=64", "renderer.backend=torch",
]  # fmt: skip
SCENE = [
    "geometry.encoding.n_levels=4", "geometry.encoding.log2_table_size=8", "geometry.encoding.finest_resolution=64",
    "renderer.n_samples=16", "renderer.occupancy.resolution=8", "system.schedules.sampler.size.values=[8,16]",
]  # fmt: skip


def test_what_is_learned_is_written_and_read_again(original, tmp_path):
    prior = DiffusionPrior(str(original("sd21-4view.pt")), dtype="float32", image_size=64)
    learner = Learner(prior.weights, "sks")
    latents = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.AdamW(learner.parameters(), lr=1e-3)
    learner.loss(latents, ["a sks dog"] * len(latents), torch.Generator().manual_seed(0)).backward()
    optimizer.step()
    write_prior(prior, learner, tmp_path / "prior", torch.float32)
    back = DiffusionPrior(str(tmp_path / "prior"), dtype="float32", image_size=64)
    own, old = learner.unet.state_dict(), prior.unet.state_dict()
    assert all(torch.equal(weight, own[name]) for name, weight in back.unet.state_dict().items())
    changed = {name for name in own if not torch.equal(own[name], old[name])}
    assert changed and not any("class_embedding" in name for name in changed)
    assert back.vocabulary is None and back.prediction_type == "epsilon"
    with torch.no_grad():
        said = learner.text_encoder(learner.tokenizer(["a sks dog"])).last_hidden_state
    torch.testing.assert_close(back.encode_text(["a sks dog"]), said)
    assert not torch.equal(said, prior.encode_text(["a sks dog"]))
    images = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(back.encode(images), prior.encode(images))


@pytest.mark.parametrize(
    ("word", "why"), [("dog", "met often"), ("wearing", "met often"), ("qzxv", "tokens to the prior")]
)
def test_a_word_that_is_no_rare_byte_pair_is_refused(original, word, why):
    with pytest.raises(UserError, match=why):
        Learner(open_weights(str(original("sd21-4view.pt"))), word)


def test_from_pictures_to_an_object(original, tmp_path):
    """The two commands of a user, in processes of their own."""
    (tmp_path / "pictures").mkdir()
    for i in range(3):
        Image.new("RGB", (32, 32), (80 * i, 0, 0)).save(tmp_path / "pictures" / f"{i}.png")

    def launch(*overrides: str) -> None:
        where = [f"output={tmp_path}", f"prompt_processor.cache_dir={tmp_path / 'cache'}"]
        command = [sys.executable, "launch.py", *where, *SMALL, *overrides]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr

    about = [f"subject.pictures={tmp_path / 'pictures'}", "subject.kind=dog", "subject.around="]
    launch("experiment=dreambooth", f"prior.path={original('sd21-4view.pt')}", "preservation=class_prior",
           "preservation.n_pictures=2", "before_after.clip=null", *about)  # fmt: skip
    learned = tmp_path / "dreambooth" / "a-sks-dog-0"
    assert (learned / "views.png").exists() and len(list((learned / "class").iterdir())) == 2
    launch("guidance=dreambooth", f"subject={learned}", "prompt=a sks dog", *SCENE)
    assert (tmp_path / "text_to_3d" / "a-sks-dog-0" / "mesh.glb").exists()
