import pytest
import torch
from peft.tuners.lora import LoraLayer
from torch.nn.functional import mse_loss

from data.errors import UserError
from guidance.diffusion import alpha_sigma
from guidance.learner import Learner
from guidance.weights.opening import open_weights

SENTENCE = "a sks dog"


@pytest.fixture(params=["v_prediction", "epsilon"])
def weights(request, prior_folder):
    return open_weights(str(prior_folder(request.param)))


@pytest.fixture
def latents(fresh_rng):
    return torch.randn(3, 4, 8, 8, generator=fresh_rng())


def trained(learner, latents, rng, steps=2):
    optimizer = torch.optim.AdamW(learner.parameters(), lr=1e-2)
    for _ in range(steps):
        optimizer.zero_grad()
        learner.loss(latents, [SENTENCE] * len(latents), rng).backward()
        optimizer.step()
    return learner


def test_the_camera_is_none_of_what_learns(weights, latents, fresh_rng):
    learner = Learner(weights, "sks")
    camera = {name: weight.clone() for name, weight in learner.unet.class_embedding.state_dict().items()}
    trained(learner, latents, fresh_rng())
    assert all(torch.equal(camera[name], now) for name, now in learner.unet.class_embedding.state_dict().items())
    assert not any("class_embedding" in name for name, _ in learner.named_parameters())


def test_every_other_weight_of_the_unet_learns(weights, latents, fresh_rng):
    learner = Learner(weights, "sks", parts=["unet"])
    before = [weight.clone() for weight in learner.weights()]
    trained(learner, latents, fresh_rng())
    assert len(before) == sum("class_embedding" not in name for name, _ in learner.unet.named_parameters())
    assert all(not torch.equal(was, now) for was, now in zip(before, learner.weights(), strict=True))


def test_pictures_do_not_see_each_other(weights, latents):
    """In 2D mode what the network says of a picture is the same alone and among others."""
    learner, t = Learner(weights, "sks"), torch.full((3,), 300)
    text = torch.zeros(3, 8, 16)
    with torch.no_grad():
        together = learner.unet(latents, t, text).sample
        alone = torch.cat([learner.unet(latents[i : i + 1], t[:1], text[:1]).sample for i in range(3)])
    torch.testing.assert_close(together, alone)


def test_the_loss_of_a_network_that_says_nothing_is_the_size_of_what_it_should_say(
    weights, latents, fresh_rng, monkeypatch
):
    learner = Learner(weights, "sks")
    monkeypatch.setattr(learner.unet, "forward", lambda noisy, t, text, cameras: type("Out", (), {"sample": 0 * noisy}))
    rng = fresh_rng()
    t = torch.randint(1000, (3,), generator=rng)
    noise = torch.randn(latents.shape, generator=rng)
    alpha, sigma = alpha_sigma(learner.alphas_cumprod, t)
    wanted = noise if learner.prediction_type == "epsilon" else alpha * noise - sigma * latents
    expected = mse_loss(torch.zeros_like(wanted), wanted)
    torch.testing.assert_close(learner.loss(latents, [SENTENCE] * len(latents), fresh_rng()), expected)


@pytest.mark.parametrize("rank", [None, 2])
def test_untrained_it_is_the_prior(weights, rank):
    unet, text_encoder = Learner(weights, "sks", rank=rank).merged()
    fresh = weights.unet(torch.float32, torch.device("cpu")).state_dict()
    assert all(torch.equal(weight, fresh[name]) for name, weight in unet.state_dict().items())
    words = weights.text_encoder(torch.device("cpu")).model.get_input_embeddings().weight
    now = text_encoder.get_input_embeddings().weight
    assert torch.equal(now[:-1], words)
    torch.testing.assert_close(now[-1], words.mean(dim=0))


def test_adapters_become_weights_that_say_the_same(weights, latents, fresh_rng):
    learner = trained(Learner(weights, "sks", rank=2), latents, fresh_rng(), steps=3)
    unet, text_encoder = learner.merged()
    ids, t = learner.tokenizer([SENTENCE]), torch.full((3,), 300)
    with torch.no_grad():
        texts = [network(ids).last_hidden_state for network in (learner.text_encoder, text_encoder)]
        said = [net(latents, t, texts[0].expand(3, -1, -1)).sample for net in (learner.unet, unet)]
    torch.testing.assert_close(texts[0], texts[1])
    torch.testing.assert_close(said[0], said[1])
    assert not any(isinstance(one, LoraLayer) for net in (unet, text_encoder) for one in net.modules())
    fresh = weights.unet(torch.float32, torch.device("cpu")).state_dict()
    assert any(not torch.equal(weight, fresh[name]) for name, weight in unet.state_dict().items())


def test_what_adapters_change_is_the_product_of_their_two_matrices(weights, latents, fresh_rng):
    learner = trained(Learner(weights, "sks", parts=["text_encoder"], rank=2), latents, fresh_rng())
    named = {name.replace("/", "."): weight for name, weight in learner.trained.items()}
    down = [weight for name, weight in named.items() if "lora_A" in name]
    up = [weight for name, weight in named.items() if "lora_B" in name]
    products = [b @ a for a, b in zip(down, up, strict=True)]
    assert len(products) == 4
    for change in learner.weights():
        assert sum(torch.allclose(change, product) for product in products) == 1


def test_adapters_start_alike_whatever_was_drawn_before(weights):
    first = Learner(weights, "sks", rank=2)
    torch.randn(100)
    again = Learner(weights, "sks", rank=2)
    pairs = zip(first.parameters(), again.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_a_sentence_with_the_word_has_its_token_and_no_other_changes(weights):
    tokenise = Learner(weights, "sks").tokenizer
    before = weights.text_encoder(torch.device("cpu")).tokenizer
    assert torch.equal(tokenise(["a red dog"]), before(["a red dog"]))
    assert tokenise.tokens("sks") == [len(before)] and "sks" not in before.words


@pytest.mark.parametrize(("word", "why"), [("dog", "learned already"), ("two words", "one word"), ("Sks", "one word")])
def test_a_word_that_has_a_meaning_or_is_none_is_refused(weights, word, why):
    with pytest.raises(UserError, match=why):
        Learner(weights, word)


def test_nothing_to_learn_is_refused(weights):
    with pytest.raises(UserError, match="nothing learns"):
        Learner(weights, "sks", parts=[])


@pytest.mark.parametrize("parts", [["word"], ["unet", "word", "text_encoder"]])
def test_the_word_can_learn_apart_from_the_others(weights, latents, fresh_rng, parts):
    learner = Learner(weights, "sks", parts=parts)
    fresh = Learner(weights, "sks").text_encoder.get_input_embeddings().weight.clone()
    (word,) = learner.by_part()["word"]
    assert set(learner.by_part()) == set(parts)
    assert word.shape == (16,) and all(word is not weight for weight in learner.weights())
    trained(learner, latents, fresh_rng())
    _, text_encoder = learner.merged()
    rows = text_encoder.get_input_embeddings().weight
    assert torch.equal(rows[-1], word) and not torch.equal(rows[-1], fresh[-1])
    assert torch.equal(rows[:-1], fresh[:-1]) == (parts == ["word"])
    ids = learner.tokenizer([SENTENCE, "a red dog"])
    with torch.no_grad():
        said = [network(ids).last_hidden_state for network in (learner.text_encoder, text_encoder)]
    torch.testing.assert_close(said[0], said[1])


def test_what_is_held_where_it_was_is_all_but_the_new_word(weights):
    learner = Learner(weights, "sks", parts=["text_encoder"])
    held = learner.weights()
    everything = sum(weight.numel() for weight in learner.trained.values())
    assert sum(weight.numel() for weight in held) == everything - 16
    with torch.no_grad():
        before = [weight.clone() for weight in held]
        learner.text_encoder.get_input_embeddings().weight[learner.token] += 1.0
    assert all(torch.equal(was, now) for was, now in zip(before, learner.weights(), strict=True))
