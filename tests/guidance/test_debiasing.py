import pytest
import torch
from transformers import BertConfig, BertForMaskedLM, BertTokenizer

from data.errors import UserError
from guidance.debiasing import VIEWS, MaskedLanguageModel, without_biased_words

SIDE, FRONT, BACK, OVERHEAD = range(4)
WORDS = ["this", "image", "is", "depicting", "a", "view", "of", "red", "dog", "with", "big", "eyes", *VIEWS]


def odds(**weights):
    """A language model in which each word multiplies the odds of each view by what is written here."""

    def views_of(prompt):
        product = torch.ones(4, dtype=torch.float64)
        for word in prompt.split():
            product *= torch.tensor(weights.get(word, [1.0] * 4), dtype=torch.float64)
        return product / product.sum()

    return views_of


def test_neutral_words_stay():
    assert without_biased_words("a red dog", odds()) == ["a red dog"] * 4


def test_a_word_that_speaks_for_the_front_is_left_out_of_the_other_views():
    said = without_biased_words("dog with eyes", odds(eyes=[1.0, 4.0, 1.0, 1.0]))
    assert said[FRONT] == "dog with eyes"
    assert said[SIDE] == said[BACK] == said[OVERHEAD] == "dog with"


@pytest.mark.parametrize(("ratio", "dropped"), [(1.1052, False), (1.1054, True)])
def test_the_border_is_where_the_formula_says(ratio, dropped):
    """p / (p_without / 2 + p / 2) < 0.95 where p_without / p > 2 / 0.95 - 1 = 1.1053."""
    p = torch.tensor([0.1, 0.3, 0.3, 0.3], dtype=torch.float64)
    without = torch.tensor([0.1 * ratio, *[(1 - 0.1 * ratio) / 3] * 3], dtype=torch.float64)
    said = without_biased_words("big dog", lambda prompt: p if "big" in prompt else without)
    assert said == ["dog" if dropped else "big dog", "big dog", "big dog", "big dog"]


def test_each_word_is_judged_with_all_others_in_place():
    asked = []

    def views_of(prompt):
        asked.append(prompt)
        return torch.full((4,), 0.25)

    without_biased_words("a red dog", views_of)
    assert asked == ["a red dog", "red dog", "a dog", "a red"]


def test_a_prompt_of_which_nothing_would_be_left_stays_whole():
    assert without_biased_words("eyes", odds(eyes=[1.0, 4.0, 1.0, 1.0])) == ["eyes"] * 4


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    """A BERT in miniature, untrained."""
    folder = tmp_path_factory.mktemp("bert")
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]))
    tokenizer = BertTokenizer(str(folder / "vocab.txt"))
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    BertForMaskedLM(config).save_pretrained(folder)
    return folder


def test_the_language_model_fills_the_gap_with_a_view(bert):
    found = MaskedLanguageModel(str(bert))("a red dog")
    tokenizer, model = BertTokenizer.from_pretrained(bert), BertForMaskedLM.from_pretrained(bert).eval()
    ids = tokenizer("This image is depicting a [MASK] view of a red dog", return_tensors="pt").input_ids
    probabilities = model(ids).logits[0, 6].softmax(dim=-1)  # [CLS] this image is depicting a [MASK]
    views = torch.stack([probabilities[tokenizer.convert_tokens_to_ids(view)] for view in VIEWS])
    torch.testing.assert_close(found, (views / views.sum()).detach())


def test_the_folder_of_a_language_model_must_be_one(bert, tmp_path):
    with pytest.raises(UserError, match="debias_model=/nowhere: there is no such folder"):
        MaskedLanguageModel("/nowhere")
    with pytest.raises(UserError, match="is no masked language model"):
        MaskedLanguageModel(str(tmp_path))
