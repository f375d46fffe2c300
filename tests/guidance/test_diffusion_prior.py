import json
import shutil

import pytest
import torch
from diffusers import UNet2DConditionModel

from data.errors import UserError
from guidance.camera_unet import CameraUNet
from guidance.diffusion import alpha_sigma
from guidance.diffusion_prior import DiffusionPrior
from guidance.multiview import set_view_count
from guidance.mv_sds import MultiViewSDS
from guidance.prior import Condition, Conditions, TextPrior


@pytest.fixture(scope="module")
def prior(prior_folder):
    return DiffusionPrior(str(prior_folder()), n_view=4, dtype="float32", device="cpu")


@pytest.fixture
def seen():
    """Noisy latents, timesteps and a condition for two objects of four views."""
    rng = torch.Generator().manual_seed(0)
    noisy, text, camera = (torch.randn(8, *shape, generator=rng) for shape in ((4, 8, 8), (8, 16), (16,)))
    return noisy, torch.full((8,), 500), Condition(text, camera)


def weights(prior):
    return [*prior.unet.parameters(), *prior._autoencoder.vae.parameters()]


def test_it_is_a_text_prior_with_the_folder_s_sizes(prior):
    assert isinstance(prior, TextPrior)
    assert prior.image_size == 16
    assert prior.latent_shape == (4, 8, 8)
    assert prior.alphas_cumprod[0].item() == pytest.approx(1 - 0.00085)
    assert prior.alphas_cumprod[-1].item() == pytest.approx(0.004660, rel=1e-3)


def test_the_gradient_of_guidance_reaches_the_images_and_never_the_weights(prior, fresh_rng):
    images = torch.rand(8, 16, 16, 3, requires_grad=True)
    condition = Condition(prior.encode_text(["a dog"] * 8), torch.randn(8, 16))
    uncond = Condition(prior.encode_text([""] * 8), condition.camera)
    MultiViewSDS(prior)(images, Conditions(condition, uncond), fresh_rng()).loss.backward()
    assert images.grad.abs().sum() > 0
    assert all(weight.grad is None and not weight.requires_grad for weight in weights(prior))


def test_predictions_of_v_are_turned_into_noise(prior, prior_folder, seen):
    """eps = alpha v + sigma x_t: the same network, told that it predicts eps, gives v itself."""
    noisy, t, condition = seen
    raw = DiffusionPrior(str(prior_folder("epsilon")), n_view=4, dtype="float32").predict_noise(noisy, t, condition)
    alpha, sigma = alpha_sigma(prior.alphas_cumprod, t)
    torch.testing.assert_close(prior.predict_noise(noisy, t, condition), alpha * raw + sigma * noisy)


def test_predictions_do_not_depend_on_the_order_of_views(prior, seen):
    noisy, t, condition = seen
    order = torch.tensor([2, 0, 3, 1, 5, 4, 7, 6])
    shuffled = Condition(condition.text[order], condition.camera[order])
    expected = prior.predict_noise(noisy, t, condition)[order]
    torch.testing.assert_close(prior.predict_noise(noisy[order], t, shuffled), expected, rtol=1e-4, atol=1e-5)


def test_views_see_each_other_within_an_object_and_not_beyond(prior, seen):
    noisy, t, condition = seen
    changed = noisy.clone()
    changed[0] += 1
    before, after = (prior.predict_noise(x, t, condition) for x in (noisy, changed))
    difference = (after - before).abs().amax((1, 2, 3))
    assert (difference[:4] > 0).all()
    assert (difference[4:] < 1e-6).all()


def test_2d_mode_is_the_2d_network_without_a_camera(prior_folder, seen):
    """Skipping the camera equals a camera MLP of zeros, and differs from a camera of zeros."""
    noisy, t, condition = seen
    folder = prior_folder("epsilon")
    prior = DiffusionPrior(str(folder), n_view=1, dtype="float32")
    flat = prior.predict_noise(noisy, t, Condition(condition.text, None))
    plain = UNet2DConditionModel.from_pretrained(folder / "unet")
    with torch.no_grad():
        of_zeros = plain(noisy, t, condition.text, class_labels=torch.zeros(8, 16)).sample
        plain.class_embedding.linear_2.weight.zero_()
        plain.class_embedding.linear_2.bias.zero_()
        without = plain(noisy, t, condition.text, class_labels=torch.zeros(8, 16)).sample
    torch.testing.assert_close(flat, without, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(flat, of_zeros, rtol=1e-4, atol=1e-5)


def test_a_2d_network_needs_no_camera(prior_folder, seen):
    noisy, t, condition = seen
    flat = DiffusionPrior(str(prior_folder(camera=False)), n_view=1, dtype="float32")
    assert flat.predict_noise(noisy, t, Condition(condition.text, None)).isfinite().all()


def test_bfloat16_stays_within_two_percent(prior, prior_folder, seen):
    noisy, t, condition = seen
    short = DiffusionPrior(str(prior_folder()), n_view=4, dtype="bfloat16").predict_noise(noisy, t, condition)
    exact = prior.predict_noise(noisy, t, condition)
    assert short.dtype == torch.float32
    assert (short - exact).norm() < 0.02 * exact.norm()


def test_a_2d_network_cannot_be_used_for_views(prior_folder):
    with pytest.raises(UserError, match=r"prior\.n_view=4: .* 2D prior"):
        DiffusionPrior(str(prior_folder(camera=False)), n_view=4)


def test_a_prior_that_predicts_something_else_is_refused(prior_folder):
    with pytest.raises(UserError, match=r"prior\.path=.* it predicts 'sample'; use one of epsilon, v_prediction"):
        DiffusionPrior(str(prior_folder("sample")))


def test_a_device_that_is_not_there_is_refused(prior_folder):
    with pytest.raises(UserError, match=r"device=warp: .* try device=auto"):
        DiffusionPrior(str(prior_folder()), device="warp")


@pytest.mark.parametrize("part", ["unet", "vae", "scheduler", "text_encoder"])
def test_a_damaged_part_is_named(prior_folder, tmp_path, part):
    folder = shutil.copytree(prior_folder(), tmp_path / "prior")
    for file in (folder / part).iterdir():
        file.write_bytes(b"{")
    with pytest.raises(UserError, match=rf"prior\.path=.*prior: its {part}/ cannot be read"):
        DiffusionPrior(str(folder), n_view=4).encode_text(["a dog"])


def test_training_may_recompute_what_it_does_not_keep(prior_folder, seen):
    """diffusers' gradient checkpointing, with views that attend to each other: the same gradients."""
    noisy, t, condition = seen
    gradients = []
    for checkpointing in (False, True):
        unet = CameraUNet.from_pretrained(prior_folder() / "unet").train()
        set_view_count(unet, 4)
        if checkpointing:
            unet.enable_gradient_checkpointing()
        unet(noisy, t, condition.text, class_labels=condition.camera).sample.square().sum().backward()
        gradients.append({name: weight.grad for name, weight in unet.named_parameters()})
    assert all(gradient is not None for gradient in gradients[1].values())
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("file", "changed"),
    [
        *(
            ("tokenizer/vocabulary.json", {"length": length})
            for length in ("x", 0, 2, 9, 5000, 10**13, True, None, 8.0)
        ),
        *(("tokenizer/vocabulary.json", {"words": words}) for words in ({"a": 1}, "abc", [1], None, ["a"] * 5000)),
        ("tokenizer/vocabulary.json", {"known": ["a", "dog"], "words": 5}),
        *(("unet/config.json", {"sample_size": size}) for size in ("x", 0, -8, 10**9, None, [8, 8], True)),
    ],
)
def test_a_size_that_cannot_be_is_told(prior_folder, tmp_path, file, changed):
    folder = shutil.copytree(prior_folder(), tmp_path / "prior")
    said = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps(said | changed))
    with pytest.raises(UserError, match=r"prior\.path=.*(its (unet|text_encoder)/ cannot be read|is damaged).*restore"):
        DiffusionPrior(str(folder), n_view=4).encode_text(["a dog"])
