import subprocess
import sys

import pytest

from data.directions import BACK, FRONT, OVERHEAD, SIDE
from data.errors import UserError
from guidance.prior_folder import REPOSITORY
from guidance.wording import ManualViews, Template


def test_view_words_come_after_the_suffix():
    said = Template()("a red dog", ", 3d asset")
    assert said[SIDE] == "a red dog, 3d asset, side view"
    assert said[FRONT] == "a red dog, 3d asset, front view"
    assert said[BACK] == "a red dog, 3d asset, back view"
    assert said[OVERHEAD] == "a red dog, 3d asset, overhead view"


def test_view_words_may_come_first_and_have_other_names():
    said = Template("{direction} view of {prompt}", back="backside")("a red dog", "")
    assert said == (
        "side view of a red dog",
        "front view of a red dog",
        "backside view of a red dog",
        "overhead view of a red dog",
    )


def test_braces_in_a_prompt_are_only_braces():
    assert Template()("a {red} dog", "")[SIDE] == "a {red} dog, side view"


@pytest.mark.parametrize(
    "template", ["side view", "{prompt}, {view}", "{prompt", "{prompt} {}", "{prompt} {0}", "{prompt.a}", "{direction}"]
)
def test_a_template_without_the_prompt_or_with_another_field_is_refused(template):
    with pytest.raises(UserError, match=r'wording\.template=".*" must hold \{prompt\}') as error:
        Template(template)
    assert template in str(error.value) and "\n" not in str(error.value)


def test_a_prompt_of_ones_own_takes_the_common_ones_place_and_gets_the_suffix():
    said = ManualViews(back="the tail of a red dog", front="")("a red dog", ", 3d asset")
    assert said[SIDE] == said[OVERHEAD] == "a red dog, 3d asset"
    assert said[BACK] == "the tail of a red dog, 3d asset"
    assert said[FRONT] == ", 3d asset"


def test_sentences_are_made_without_loading_torch():
    code = "import guidance.wording, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)
