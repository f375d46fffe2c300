"""Which prompts a job is about: one, several, or a file of them. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Sequence

from data.errors import UserError
from systems.command.prompt_file import check_prompt, read_prompts
from systems.command.run_folder import slug

WAYS = 'prompt="a red dog wearing a blue hat", job.prompts="[a red dog,a green car]", or job.file=prompts.txt'
WHERE = "prompt, job.prompts or job.file"


def prompt_list(
    prompt: str | None, prompts: Sequence[str] | None, file: str | None, default_file: str | None = None
) -> list[str]:
    """Each prompt once, in order."""
    given = [one for one in (prompt, prompts, file) if one is not None]
    if not given and default_file is not None:
        return list(dict.fromkeys(read_prompts(default_file, "evaluation.file")))
    if not given:
        raise UserError(f"prompt is missing: say {WAYS}")
    if len(given) > 1:
        raise UserError(f"prompt, job.prompts and job.file: give one of them, {WAYS}")
    if file is not None:
        prompts = read_prompts(file, "job.file")
    found = list(dict.fromkeys(line.strip() for line in prompts or [prompt or ""] if line.strip()))
    for one in found:
        check_prompt(one, WHERE)
    if not found:
        raise UserError(f"prompt is empty: say {WAYS}")
    return found


def check_apart(prompts: Sequence[str]) -> None:
    """UserError if two of them have runs in one folder."""
    named: dict[str, str] = {}
    for prompt in prompts:
        other = named.setdefault(slug(prompt), prompt)
        if other != prompt:
            raise UserError(f'prompts "{other}" and "{prompt}" would share the folder {slug(prompt)}: say one of them')


def file_stems(prompts: Sequence[str]) -> dict[str, str]:
    """A file name for each prompt, no two alike."""
    stems: dict[str, str] = {}
    taken: set[str] = set()
    for prompt in prompts:
        stem, n = slug(prompt), 1
        while stem in taken:
            n += 1
            stem = f"{slug(prompt)}-{n}"
        taken.add(stem)
        stems[prompt] = stem
    return stems
