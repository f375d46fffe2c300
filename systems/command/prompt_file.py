"""Prompts from a text file, one a line. A line takes the file's place on the command line, so that what runs, and what
a run folder says has run, does not change when the file does."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from hydra.errors import HydraException

from data.errors import UserError
from data.reading import text_of
from guidance.prior_folder import REPOSITORY
from systems.command.overrides import parse, quoted

LARGEST = 2**26  # bytes of a file of prompts
MOST = 2**17  # prompts in it
LONGEST = 2000  # characters of a prompt: CLIP reads 77 tokens


def name_prompts(overrides: list[str], sweep: bool) -> list[str]:
    """`prompt_file=FILE prompt_index=3` -> `prompt="that line"`; in a sweep, several, by default all of the file."""
    given = {text.split("=", 1)[0]: text for text in overrides}
    if "prompt_file" not in given:
        if "prompt_index" in given:
            raise UserError(f"{given['prompt_index']}: of which file? Say prompt_file=FILE, one prompt per line")
        return overrides
    if "prompt" in given:
        raise UserError(f"{given['prompt']} and {given['prompt_file']}: say one of them")
    path = given["prompt_file"].split("=", 1)[1].strip("\"'")
    prompts = read_prompts(path)
    chosen = _chosen(given.get("prompt_index"), len(prompts), path, sweep)
    said = "prompt=" + ",".join(dict.fromkeys(quoted(prompts[index]) for index in chosen))
    rest = [text for text in overrides if text.split("=", 1)[0] not in ("prompt_file", "prompt_index")]
    return [said, *rest]


def read_prompts(path: str, key: str = "prompt_file") -> list[str]:
    """Without empty lines and those that begin with #; relative to where the user stands, or to the repository."""
    candidates = [Path(path).expanduser(), REPOSITORY / path]
    file = next((c for c in candidates if c.exists()), None)
    if file is None:
        raise UserError(f"{key}={path}: there is no such file; say the path of a text file, one prompt per line")
    try:
        with file.open("rb") as stream:
            lines = [line.strip() for line in text_of(stream, LARGEST).splitlines()]
    except (OSError, ValueError) as error:
        raise UserError(f"{key}={path} cannot be read (it {error}); say a text file, one prompt per line") from None
    if prompts := [line for line in lines if line and not line.startswith("#")]:
        if len(prompts) > MOST:
            raise UserError(f"{key}={path} holds {len(prompts)} prompts, more than {MOST}: say a shorter file")
        for prompt in prompts:
            check_prompt(prompt, f"{key}={path}")
        return prompts
    raise UserError(f"{key}={path} holds no prompt; write one per line")


def check_prompt(prompt: str, where: str) -> None:
    """UserError for what cannot be a sentence, nor be written to the files that name it."""
    if len(prompt) > LONGEST:
        raise UserError(f"{where}: a prompt has {len(prompt)} characters; say at most {LONGEST}")
    is_strange = lambda letter: letter != "\t" and unicodedata.category(letter) in ("Cc", "Cs")
    strange = next(filter(is_strange, prompt), None)
    if strange is not None:
        raise UserError(f"{where}: a prompt has the character {strange!a}, which is none of a text; leave it out")


def _chosen(index: str | None, n: int, path: str, sweep: bool) -> list[int]:
    if index is None:
        if sweep:
            return list(range(n))
        raise UserError(f"prompt_index is missing: say which line of {path}, 0 to {n - 1}, or --multirun for all")
    override = parse(index)
    try:
        swept = override.is_sweep_override()
        values = list(override.sweep_string_iterator()) if swept else [str(override.value())]
    except HydraException:
        values = []
    if len(values) > 1 and not sweep:
        raise UserError(f"{index}: several values need --multirun")
    if not values or not all(value.isdecimal() and int(value) < n for value in values):
        raise UserError(f"{index}: {path} holds {n} prompts; say a whole number from 0 to {n - 1}")
    return [int(value) for value in values]
