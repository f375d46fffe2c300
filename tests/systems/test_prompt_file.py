import pytest

from data.errors import UserError
from data.toybox.split import HELD_OUT
from systems.command.overrides import parse
from systems.command.prompt_file import name_prompts, read_prompts

LINES = """# toys

  a red dog
a "big", {odd} \\\\ (cat)
   # no toy
an owl
"""
PROMPTS = ["a red dog", 'a "big", {odd} \\ (cat)', "an owl"]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "toys.txt"
    path.write_text(LINES.replace("\\\\", "\\"))
    return str(path)


def prompts_of(overrides):
    """What Hydra will make of them."""
    override = parse(overrides[0])
    assert override.key_or_group == "prompt"
    if not override.is_sweep_override():
        return [override.value()]
    return [parse(f"prompt={value}").value() for value in override.sweep_string_iterator()]


def test_empty_lines_and_comments_hold_no_prompt(file):
    assert read_prompts(file) == PROMPTS


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_line_takes_the_place_of_the_file(file, index):
    named = name_prompts(["seed=1", f"prompt_file={file}", f"prompt_index={index}"], sweep=False)
    assert prompts_of(named) == [PROMPTS[index]]
    assert named[1:] == ["seed=1"]


@pytest.mark.parametrize(
    ("index", "chosen"),
    [("0,2", [0, 2]), ("range(0,3)", [0, 1, 2]), ("choice(2,1)", [2, 1]), ("1", [1]), (None, [0, 1, 2])],
)
def test_a_sweep_takes_several(file, index, chosen):
    given = [f"prompt_file={file}", *([] if index is None else [f"prompt_index={index}"])]
    assert prompts_of(name_prompts(given, sweep=True)) == [PROMPTS[i] for i in chosen]


def test_without_a_file_nothing_changes():
    assert name_prompts(["prompt=a dog", "seed=1"], sweep=False) == ["prompt=a dog", "seed=1"]


@pytest.mark.parametrize("index", ["3", "-1", "1.5", "first", "range(0,4)", "null"])
def test_a_line_that_is_not_there_is_told_with_those_that_are(file, index):
    with pytest.raises(UserError, match="holds 3 prompts; say a whole number from 0 to 2"):
        name_prompts([f"prompt_file={file}", f"prompt_index={index}"], sweep=True)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["prompt_file=FILE"], "prompt_index is missing: say which line of .*, 0 to 2, or --multirun for all"),
        (["prompt_file=FILE", "prompt_index=0,1"], "prompt_index=0,1: several values need --multirun"),
        (["prompt_file=FILE", "prompt=a dog"], "prompt=a dog and prompt_file=.*: say one of them"),
        (["prompt_index=0"], "of which file"),
        (["prompt_file=/nowhere.txt", "prompt_index=0"], "there is no such file"),
        (["prompt_file=/", "prompt_index=0"], "cannot be read"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(file, given, message):
    with pytest.raises(UserError, match=message) as error:
        name_prompts([text.replace("FILE", file) for text in given], sweep=False)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"), [(b"# nothing\n\n", "holds no prompt"), (b"\xff\xfe", "cannot be read")]
)
def test_a_file_without_prompts_is_told(tmp_path, content, message):
    (tmp_path / "toys.txt").write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_prompts(str(tmp_path / "toys.txt"))


def test_the_example_holds_the_captions_that_the_priors_never_saw(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # it is found from anywhere
    assert tuple(read_prompts("data/prompts/held_out.txt")) == HELD_OUT[:12]
