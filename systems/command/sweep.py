"""sweep.json: what the sweeps into a folder have asked for; and how those runs stand. Without torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from hydra.core.override_parser.types import Override
from hydra.utils import instantiate
from omegaconf import DictConfig

from data.errors import UserError
from data.plain_text import is_plain, one_line, printable
from data.reading import read_json, stays_below
from data.whole_file import write_text
from systems.command.alone import alone
from systems.command.claim import is_held
from systems.command.jobs import name_of, sweep_folder
from systems.command.run_folder import RunFolder
from systems.command.status import FINISHED, INTERRUPTED, REQUEUED, RUNNING, read_status

FILE = "sweep.json"
NOT_OF_A_RUN = ("hydra.", "hydra/", "folder.variant=", "launcher=", "launcher.")
SHOWN = 8  # of the runs that are not finished
GONE = "its metrics.json is gone: the same sweep again writes it"  # of a run that says that it is finished


@dataclass(frozen=True)
class SweptRun:
    """folder: within that of the sweep. variant: what sets it apart, beside prompt and seed. overrides: all that it is
    told."""

    folder: str
    prompt: str | None
    seed: int
    variant: str
    overrides: tuple[str, ...]


@dataclass(frozen=True)
class Asked:
    """A run that this command asks for; sweep: the folder with its sweep.json."""

    sweep: Path
    run: SweptRun

    @property
    def path(self) -> Path:
        return self.sweep / self.run.folder


def asked(config: DictConfig, overrides: Sequence[Override]) -> Asked:
    folder: RunFolder = instantiate(config.folder)
    told = tuple(text for text in map(_text, overrides) if not text.startswith(NOT_OF_A_RUN))
    prompt = None if config.prompt is None else str(config.prompt)
    run = SweptRun(name_of(config, folder), prompt, config.seed, folder.variant or "", told)
    return Asked(sweep_folder(config), run)


def _text(override: Override) -> str:
    return override.input_line or ""


def write_sweeps(runs: Sequence[Asked]) -> None:
    """What earlier sweeps have asked for stays, unless this one says it anew."""
    for sweep in dict.fromkeys(one.sweep for one in runs):
        lock = sweep / f".{FILE}.lock"  # since several sweeps may be asked for at once
        try:
            sweep.mkdir(parents=True, exist_ok=True)
            with alone(lock):
                _add(sweep / FILE, [one.run for one in runs if one.sweep == sweep])
                lock.unlink()
        except OSError as error:
            raise UserError(
                f"{sweep / FILE} cannot be written ({error.strerror}): say output=FOLDER for another place"
            ) from None


def _add(file: Path, runs: Sequence[SweptRun]) -> None:
    known = {run.folder: run for run in (read_sweep(file.parent) if file.exists() else [])}
    known |= {run.folder: run for run in runs}
    write_text(file, json.dumps({"runs": [asdict(run) for run in known.values()]}, indent=2) + "\n")


def read_sweep(folder: Path) -> list[SweptRun]:
    file = folder / FILE
    if not file.is_file():
        raise UserError(f"{folder} holds no sweep ({FILE} is not there): say the folder of a --multirun")
    try:
        return [_run(said) for said in read_json(file)["runs"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file} cannot be read ({error}): the same sweep again writes it, once it is gone") from None


def _run(said: dict[str, object]) -> SweptRun:
    """Of a file that anyone may have sent."""
    folder, prompt, seed, variant, overrides = (said[one.name] for one in fields(SweptRun))
    if not (isinstance(folder, str) and stays_below(folder) and Path(folder).parts and is_plain(folder)):
        raise ValueError("it names a folder that is not within its own")
    if not (prompt is None or (isinstance(prompt, str) and printable(prompt) == prompt)):
        raise ValueError("a prompt of it is no text")
    if not (isinstance(seed, int) and isinstance(variant, str) and is_plain(variant)):
        raise ValueError("a seed of it is no number, or a variant no line")
    if not (isinstance(overrides, list) and all(isinstance(text, str) for text in overrides)):
        raise ValueError("overrides of it are no texts")
    return SweptRun(folder, prompt, seed, variant, tuple(overrides))


def tell(runs: Sequence[Asked]) -> int:
    """One line about how they stand; returns the worst exit code."""
    stands = {one: _stand(one.path) for one in runs}
    wrong = [f"{one.run.folder} {words}" for one, (code, words) in stands.items() if code]
    line = f"{len(runs) - len(wrong)} of {len(runs)} runs are finished"
    shown = wrong if len(wrong) <= SHOWN else [*wrong[: SHOWN - 1], f"and {len(wrong) - SHOWN + 1} more are not"]
    print("; ".join([line, *shown]), flush=True)
    return max(code for code, _ in stands.values())


def _stand(path: Path) -> tuple[int, str]:
    """Exit code of a run, and if it is not 0, why, in words."""
    status = read_status(path)
    is_whole = (path / "metrics.json").exists()
    if status is None:
        return (0, "") if is_whole else (1, "has not run")
    if status.state == FINISHED:
        return (0, "") if is_whole else (1, f"{INTERRUPTED}: {GONE}")
    if status.state == RUNNING:
        return 1, "is still running" if is_held(path) else "was killed"
    if status.state == REQUEUED:
        return 1, "was stopped, and SLURM has not started it again"
    return status.code or 1, one_line(f"{status.state}: {status.reason}").rstrip(": ")
