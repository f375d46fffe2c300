from __future__ import annotations

from pathlib import Path

import pytest

from data.errors import UserError
from systems.command.prompt_list import check_apart, file_stems, prompt_list
from systems.command.run_folder import RunFolder


def test_prompt_is_a_list_of_one() -> None:
    assert prompt_list("a red dog", None, None) == ["a red dog"]


def test_every_prompt_comes_once() -> None:
    assert prompt_list(None, ["a dog", " a cat ", "a dog", ""], None) == ["a dog", "a cat"]


def test_file_has_one_prompt_a_line_and_remarks(tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("# toys\na red dog\n\n  a green car, small\n")
    assert prompt_list(None, None, str(tmp_path / "prompts.txt")) == ["a red dog", "a green car, small"]


def test_no_prompt_and_two_sources_are_refused() -> None:
    with pytest.raises(UserError, match=r'prompt is missing: say prompt="a red dog'):
        prompt_list(None, None, None)
    with pytest.raises(UserError, match=r"prompt, job.prompts and job.file: give one of them"):
        prompt_list("a dog", ["a cat"], None)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "there is no such file"), (b"\xff\xfe\xff", "cannot be read"), (b"# \n", "holds no prompt")],
)
def test_file_that_says_nothing_is_refused(tmp_path: Path, content: bytes | None, reason: str) -> None:
    file = tmp_path / "prompts.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UserError, match=rf"job.file={file}.* {reason}"):
        prompt_list(None, None, str(file))


def test_no_two_prompts_share_a_file_name() -> None:
    prompts = ["a dog", "A dog", "a dog 2"]
    assert list(file_stems(prompts).values()) == ["a-dog", "a-dog-2", "a-dog-2-2"]


def test_prompts_of_one_folder_are_refused() -> None:
    check_apart(["a dog", "a dog!", "a dog"])
    with pytest.raises(UserError, match='prompts "a dog" and "A dog" would share the folder a-dog: say one of them'):
        check_apart(["a dog", "A dog"])


@pytest.mark.parametrize(
    "prompt", ["../../etc/passwd", "/etc/passwd", "..", "~/x", "a/../../b", "c:\\x", "${oc.env:HOME}"]
)
def test_a_prompt_names_a_folder_inside_the_others(tmp_path: Path, prompt: str) -> None:
    (stem,) = file_stems([prompt]).values()
    assert (tmp_path / stem).parent == tmp_path and (tmp_path / f"{stem}-0").resolve().parent == tmp_path.resolve()
    run = RunFolder(str(tmp_path), "text_to_3d", prompt, 0)
    assert run.path.resolve().parent == (tmp_path / "text_to_3d").resolve() and run.path.name not in ("", ".", "..")


@pytest.mark.parametrize("letter", ["\x00", "\x1b", "\x7f", "\n", "\udc80"])
def test_a_letter_that_no_file_or_terminal_should_get_is_refused(tmp_path: Path, letter: str) -> None:
    with pytest.raises(UserError, match=r"a prompt has the character .*; leave it out"):
        prompt_list(f"a {letter}dog", None, None)


def test_a_prompt_has_a_length(tmp_path: Path) -> None:
    assert prompt_list("a" * 2000, None, None)
    (tmp_path / "prompts.txt").write_text("a dog\n" + "a" * 2001)
    with pytest.raises(UserError, match=r"job\.file=.*: a prompt has 2001 characters; say at most 2000"):
        prompt_list(None, None, str(tmp_path / "prompts.txt"))
