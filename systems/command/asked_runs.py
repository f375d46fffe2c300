"""The runs that a table asks for, each with all that it is told. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from omegaconf import DictConfig

from systems.command.overrides import quoted
from systems.command.prompt_list import prompt_list
from systems.command.run_folder import RunFolder


@dataclass(frozen=True)
class AskedRun:
    """row: of the table that it is for."""

    row: str
    folder: RunFolder
    overrides: tuple[str, ...]


def asked_runs(job: DictConfig) -> list[AskedRun]:
    """Of a job that makes a table; none of any other."""
    told = lambda row, own: told_to(row, own, job.common, job.output, job.name)
    place = lambda row, prompt, seed: RunFolder(job.output, f"{job.name}/{row}", prompt, seed)
    if "settings" in job:
        return [
            AskedRun(row, place(row, prompt, seed), (f"prompt={quoted(prompt)}", f"seed={seed}", *told(row, own)))
            for row, own in job.settings.items()
            for prompt in prompt_list(None, job.prompts, job.file)
            for seed in job.seeds
        ]
    if "rows" in job:
        return [
            AskedRun(row, place(row, row, job.seed), (*named(row, job.seed), *told(row, own)))
            for row, own in job.rows.items()
        ]
    return []


def told_to(row: str, own: Sequence[str], common: Sequence[str], output: str, name: str) -> list[str]:
    """All runs of a row."""
    return [f"output={output}", f"name={name}/{row}", *common, *own]


def named(row: str, seed: int) -> list[str]:
    """Of a row that is one run: its folder bears the row's name, whatever it is about."""
    return [f"seed={seed}", f"folder.prompt={quoted(row)}"]
