import pytest
import torch
from transformers import CLIPTokenizer

from guidance.weights.clip_tokenizer import BytePairs, byte_symbols, clip_tokenizer

START, END = 49406, 49407
KNOWN = [  # with OpenCLIP's own tokenizer
    ("a photo of a cat", [320, 1125, 539, 320, 2368]),
    ("A  photo\tof a CAT ", [320, 1125, 539, 320, 2368]),
    ("", []),
]


@pytest.fixture(scope="module")
def open_clip():
    return BytePairs(clip_tokenizer(pads_with_zero=True))


@pytest.fixture(scope="module")
def clip():
    return BytePairs(clip_tokenizer(pads_with_zero=False))


@pytest.mark.parametrize(("text", "tokens"), KNOWN)
def test_known_sentences_have_their_known_tokens(open_clip, clip, text, tokens):
    sentence = [START, *tokens, END]
    rest = 77 - len(sentence)
    assert open_clip([text]).tolist() == [sentence + [0] * rest]
    assert clip([text]).tolist() == [sentence + [END] * rest]


def test_a_long_sentence_is_cut_and_still_ends(open_clip):
    ids = open_clip(["cat " * 200])[0]
    assert len(ids) == 77
    assert ids.tolist() == [START, *[2368] * 75, END]


def test_there_are_49408_tokens_and_each_byte_has_one():
    assert len(clip_tokenizer(pads_with_zero=False)) == 49408
    assert len(set(byte_symbols())) == 256


def test_what_a_folder_keeps_reads_as_the_file_did(open_clip, tmp_path):
    """Also "!", which such a folder pads with."""
    sentences = [text for text, _ in KNOWN] + ["a red hat!", "hm?!", "!!!"]
    clip_tokenizer(pads_with_zero=True).save_pretrained(tmp_path)
    read = BytePairs(CLIPTokenizer.from_pretrained(tmp_path, local_files_only=True))
    assert torch.equal(read(sentences), open_clip(sentences))


@pytest.mark.parametrize("padding", [0, END])
def test_it_comes_back_from_disk_with_the_padding_that_it_was_given(tmp_path, padding):
    given = BytePairs(clip_tokenizer(pads_with_zero=False), padding)
    given.save(tmp_path)
    read = BytePairs(CLIPTokenizer.from_pretrained(tmp_path, local_files_only=True))
    assert torch.equal(read(["a red hat!", ""]), given(["a red hat!", ""]))
    assert read([""])[0, -1] == padding


@pytest.mark.parametrize(("text", "tokens"), KNOWN)
def test_tokens_of_a_sentence_alone(clip, text, tokens):
    assert clip.tokens(text) == tokens and clip.end == END
