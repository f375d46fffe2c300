"""What a command line may ask of a sweep, and what is asked back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Run

PROMPT = "prompt=a red dog"


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ("guidance=glob(*)", "guidance=glob(*): say its values, with commas between them"),
        ("guidance.scale=interval(0,1)", "guidance.scale=interval(0,1): say its values"),
        ("seed=range(0,0)", "seed=range(0,0): that is no value at all"),
        ("trainer.devices=2", "--multirun with several trainer.devices: start it with torchrun"),
        ("seed=0,1,0", "seed=0,1,0: 0 stands there twice"),
    ],
)
def test_values_that_are_none_are_explained(run: Run, told: str, message: str) -> None:
    assert message in run.error(PROMPT, "--multirun", told)


@pytest.mark.parametrize("cut", ["a red dog, a duck,a car", "'a red dog', a duck", "a red dog, 'a duck'"])
def test_sentence_that_a_comma_may_have_cut_is_asked_about(run: Run, cut: str) -> None:
    said = run.error("--multirun", f"prompt={cut}")
    assert "does a comma belong to a sentence, or stand between two?" in said


@pytest.mark.parametrize(
    "whole", ["'a red dog, a green car','a yellow duck'", "'a red dog', 'a duck'", "a red dog,a duck"]
)
def test_sentences_that_are_whole_are_not(run: Run, whole: str) -> None:
    run.accepts("--multirun", f"prompt={whole}", "prompt_processor.suffix=")


def test_line_that_stands_twice_in_a_file_is_one_prompt(run: Run, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("a red dog\na green car\na red dog\n")
    run.accepts("--multirun", f"prompt_file={tmp_path / 'prompts.txt'}")


def test_command_that_is_refused_makes_no_folder(run: Run, tmp_path: Path) -> None:
    run.error(PROMPT, "--multirun", "guidance.scale=1,-1")
    assert not (tmp_path / "outputs").exists()
