"""The runs that a table asks for, each with all that it is told. Imports nothing heavy."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from omegaconf import DictConfig

from data.errors import UserError
from systems.command.overrides import key_of, parse, quoted
from systems.command.prompt_list import check_apart, prompt_list
from systems.command.run_folder import RunFolder

# What a command line says of the table itself; all else it says of the runs
OF_THE_TABLE = {
    "experiment",
    "evaluation",
    "job",
    "name",
    "output",
    "prompt",
    "seed",
    "folder",
    "resume",
    "hydra",
    "launcher",
}


@dataclass(frozen=True)
class AskedRun:
    """row: of the table that it is for. prompt: None if its row has none, and is one run."""

    row: str
    prompt: str | None
    seed: int
    folder: RunFolder
    overrides: tuple[str, ...]


def asked_runs(job: DictConfig) -> list[AskedRun]:
    """Of a job that makes a table; none of any other."""
    rows = job.get("settings") or job.get("rows") or {}
    handed = handed_on(job.get("said", ()), job.get("own_keys", ()))
    told = {row: told_to(row, own, job.common, handed, job.output, job.name) for row, own in rows.items()}
    place = lambda row, prompt, seed: RunFolder(job.output, f"{job.name}/{row}", prompt, seed)
    if "rows" in job:
        seed = job.seed
        return [AskedRun(row, None, seed, place(row, row, seed), (*named(row, seed), *told[row])) for row in rows]
    if "settings" not in job:
        return []
    check_seed(job.said)
    prompts = prompt_list(job.prompt, job.prompts, job.file, job.default_file)
    check_apart(prompts)
    return [
        AskedRun(row, prompt, seed, place(row, prompt, seed), (f"prompt={quoted(prompt)}", f"seed={seed}", *told[row]))
        for row in rows
        for prompt in prompts
        for seed in job.seeds
    ]


def check_seed(said: Sequence[str]) -> None:
    for text in said:
        if key_of(parse(text)) == "seed":
            raise UserError(f"{text}: an evaluation has several, say job.seeds=[{text.removeprefix('seed=')}]")


def handed_on(said: Sequence[str], own_keys: Sequence[str] = ()) -> list[str]:
    """Of the command line that asks for a table, what all of its runs are told."""
    first = lambda text: re.split(r"[./@]", key_of(parse(text)))[0]
    return [text for text in said if first(text) not in OF_THE_TABLE | set(own_keys)]


def told_to(
    row: str, own: Sequence[str], common: Sequence[str], handed: Sequence[str], output: str, name: str
) -> list[str]:
    """All runs of a row; UserError if the command line and the row contradict each other."""
    fixed = {key_of(parse(text)): text for text in (*common, *own)}
    for text in handed:
        if (other := fixed.get(key_of(parse(text)), text)) != text:
            raise UserError(f"{text}: the runs of {row} are told {other}; leave out one of the two")
    rest = [text for text in handed if text not in fixed.values()]
    return [f"output={output}", f"name={name}/{row}", *common, *own, *rest]


def named(row: str, seed: int) -> list[str]:
    """Of a row that is one run: its folder bears the row's name, whatever it is about."""
    return [f"seed={seed}", f"folder.prompt={quoted(row)}"]
