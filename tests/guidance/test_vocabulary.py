import json
import subprocess
import sys

import pytest

from data.errors import UserError
from guidance.prior_folder import REPOSITORY
from guidance.tokenizer import WordTokenizer
from guidance.vocabulary import check_sentences, check_words, read_vocabulary, unknown_words

WORDS = ("a", "red", "dog", "elephant", "hat", "wearing", ",", "3d", "asset")


def test_known_words_pass_in_any_case_and_punctuation():
    check_words("A red DOG, wearing a hat!, 3d asset", WORDS)


def test_unknown_words_come_with_the_nearest_known_ones():
    assert unknown_words("a red elefant, zzz", WORDS) == {"elefant": ["elephant"], "zzz": []}


def test_an_unknown_word_is_one_sentence_with_the_way_out():
    with pytest.raises(UserError) as error:
        check_words("a red elefant", WORDS)
    message = str(error.value)
    assert "\n" not in message
    for part in ("a red elefant", "has not learned 'elefant' (nearest: elephant)", "prompt_processor.unknown=warn"):
        assert part in message


def test_a_word_like_no_other_is_answered_with_all_that_are_known():
    with pytest.raises(UserError, match=r"'bus'; it knows 7 words \(a, red, dog, elephant, hat, wearing, asset\)"):
        check_words("a red bus", WORDS)


def test_a_warning_lets_the_prompt_through(caplog):
    check_words("a red elefant", WORDS, unknown="warn")
    assert "'elefant' (nearest: elephant)" in caplog.text


def test_of_several_sentences_no_word_is_told_twice(caplog):
    check_sentences(["a bus", "a red bus on a hat", "a red bus"], WORDS, unknown="warn")
    assert ["learned 'bus'" in caplog.messages[0], "learned 'on'" in caplog.messages[1]] == [True, True]
    assert len(caplog.messages) == 2
    with pytest.raises(UserError, match="a hat on a bus"):
        check_sentences(["a hat", "a hat on a bus"], WORDS)


def test_a_prior_without_a_list_reads_anything(tmp_path):
    assert read_vocabulary(tmp_path) is None
    check_words("an axolotl", None)


def test_words_that_have_a_token_but_were_never_trained_are_unknown(tmp_path):
    WordTokenizer(WORDS, known=WORDS[:3]).save(tmp_path / "tokenizer")
    assert read_vocabulary(tmp_path) == ("a", "red", "dog")
    with pytest.raises(UserError, match="has not learned 'elephant'; it knows 3 words"):
        check_words("a red elephant", read_vocabulary(tmp_path))


def test_without_a_list_of_known_words_all_listed_words_are(tmp_path):
    WordTokenizer(WORDS).save(tmp_path / "tokenizer")
    assert read_vocabulary(tmp_path) == WORDS


def test_a_tokenizer_comes_back_from_its_file(tmp_path):
    WordTokenizer(WORDS, length=8, known=WORDS[:3]).save(tmp_path)
    loaded = WordTokenizer.load(tmp_path)
    assert (loaded.words, loaded.length, loaded.known) == (WORDS, 8, WORDS[:3])


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"length": 24})])
def test_a_damaged_list_is_named(tmp_path, text):
    (tmp_path / "tokenizer").mkdir()
    (tmp_path / "tokenizer" / "vocabulary.json").write_text(text)
    with pytest.raises(UserError, match=r"vocabulary\.json is damaged"):
        read_vocabulary(tmp_path)


def test_words_are_checked_without_loading_torch():
    code = "import guidance.vocabulary, guidance.prior_folder, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)
