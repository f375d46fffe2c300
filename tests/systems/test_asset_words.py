from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import CLIPTextModel

from data.errors import UserError
from data.toybox.captions import VOCABULARY
from guidance.tokenizer import UNKNOWN, WordTokenizer
from systems.training.mini_networks import load_text_encoder, new_text_encoder, new_tokenizer
from systems.training_data.asset_words import asset_tokenizer
from tests.data.test_shards import seen, shard


@pytest.fixture
def shards(tmp_path: Path, rng: torch.Generator) -> str:
    said = {"one": ["a low poly fox", "a Fox in snow"], "two": ["an anvil", "a sci-fi anvil"]}
    shard(tmp_path, [replace(seen(key, rng), captions=texts) for key, texts in said.items()])
    return shard(tmp_path, [replace(seen("x", rng, split="heldout"), captions=["wolf", "a wolf"])], "heldout")


def test_words_of_toys_keep_their_places(shards: str) -> None:
    tokenizer = asset_tokenizer(shards, n_kinds=32, min_count=1)
    assert tokenizer.words == (*VOCABULARY, "anvil", "fi", "fox", "low", "poly", "sci", "snow")
    text = "a red dog wearing a blue hat"
    assert torch.equal(tokenizer([text]), new_tokenizer()([text]))


def test_known_is_what_was_said_often_enough(shards: str) -> None:
    known = asset_tokenizer(shards, n_kinds=1, min_count=2).known
    assert known is not None and {"dog", "fox", "anvil", ","} <= set(known)
    assert not {"snow", "wolf", "elephant", "side"} & set(known)
    assert asset_tokenizer(shards, min_count=2).tokens("snow wolf") == [UNKNOWN, UNKNOWN]


def test_an_object_that_was_rendered_twice_says_its_words_once(shards: str, rng: torch.Generator) -> None:
    again = Path(shards, "more", "shards")
    again.mkdir(parents=True)
    shard(again, [replace(seen("two", rng), captions=["a hammer", "a sci-fi anvil"])])
    assert "fi" not in asset_tokenizer(shards, min_count=2).words


def test_a_text_encoder_learns_more_words_and_forgets_none(shards: str, tmp_path: Path) -> None:
    before = new_text_encoder(16, 1, 2).eval()
    folder = trained(tmp_path, new_tokenizer(), before)
    tokenizer = asset_tokenizer(shards, min_count=1)
    after = load_text_encoder(folder, tokenizer).eval()
    assert after.config.vocab_size == len(tokenizer)
    ids = tokenizer(["a red dog"])
    torch.testing.assert_close(after(ids).last_hidden_state, before(ids).last_hidden_state)
    torch.manual_seed(7)  # of no concern
    again = load_text_encoder(folder, tokenizer).eval()
    fox = tokenizer(["a red fox"])
    assert torch.equal(after(fox).last_hidden_state, again(fox).last_hidden_state)


def test_words_keep_their_embeddings_when_others_come_before_them_or_go(shards: str, tmp_path: Path) -> None:
    first = asset_tokenizer(shards, min_count=1)
    stored = load_text_encoder(trained(tmp_path, new_tokenizer(), new_text_encoder(16, 1, 2)), first)
    stored.get_input_embeddings().weight.data += 1.0  # as if it had learned
    folder = trained(tmp_path / "once", first, stored)
    then = WordTokenizer([*VOCABULARY, "ambulance", "fox"])
    rows = {name: load_text_encoder(folder, then).get_input_embeddings().weight for name in ("now", "again")}
    before, now = stored.get_input_embeddings().weight, rows["now"]
    for word in (*VOCABULARY, "fox"):
        assert torch.equal(now[then.tokens(word)], before[first.tokens(word)]), word
    assert torch.equal(now[: UNKNOWN + 1], before[: UNKNOWN + 1]) and torch.equal(now, rows["again"])
    assert not (now[then.tokens("ambulance")] == before).all(dim=1).any()


def trained(folder: Path, tokenizer: WordTokenizer, encoder: CLIPTextModel) -> str:
    encoder.save_pretrained(folder / "text_encoder")
    tokenizer.save(folder / "tokenizer")
    return str(folder)


def test_a_folder_without_shards_is_named_as_the_user_did(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^shards=.* holds no train-\*.tar"):
        asset_tokenizer(str(tmp_path))
