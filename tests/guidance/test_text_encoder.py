import pytest
import torch
from transformers import CLIPTokenizer

from guidance.text_encoder import load_text_encoder, load_tokenizer


@pytest.fixture
def clip_folder(tmp_path):
    """A byte-pair tokenizer as in Stable Diffusion's folders, of six tokens."""
    vocabulary = {
        word: i for i, word in enumerate(["<|startoftext|>", "<|endoftext|>", "a</w>", "d", "g</w>", "dg</w>"])
    }
    CLIPTokenizer(vocab=vocabulary, merges=[("d", "g</w>")], model_max_length=6).save_pretrained(tmp_path)
    return tmp_path


def test_byte_pairs_are_read_where_no_words_are_listed(clip_folder):
    ids = load_tokenizer(clip_folder)(["a dg", "a a a a a a a a"])
    assert ids.tolist() == [[0, 2, 5, 1, 1, 1], [0, 2, 2, 2, 2, 1]]


def test_listed_words_are_read_where_they_are(prior_folder):
    tokenise = load_tokenizer(prior_folder() / "tokenizer")
    assert tokenise(["a red dog"]).shape == (1, 8)


def test_sentences_are_embedded_one_by_one(prior_folder):
    encode = load_text_encoder(prior_folder(), torch.device("cpu"))
    together = encode(["a red dog", "hat"])
    assert together.dtype == torch.float32
    torch.testing.assert_close(together[1:], encode(["hat"]))
    assert not torch.allclose(together[0], together[1])


def test_a_sentence_that_is_cut_is_told(prior_folder, caplog):
    encode = load_text_encoder(prior_folder(), torch.device("cpu"))  # of eight tokens
    encode(["a red dog, 3d"])
    assert caplog.text == ""
    encode(["a red dog, 3d asset, back view"])
    assert "reads 8 tokens; what comes after is cut" in caplog.text
