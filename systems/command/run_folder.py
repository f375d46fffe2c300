"""The folder that a run writes: where each file stands, and whether a run may start, continue, or must refuse."""

from __future__ import annotations

import errno
import hashlib
import logging
import re
import shlex
import shutil
import sys
import uuid
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from data.errors import UserError
from data.ranges import Seed
from data.whole_file import clear_drafts, write_text
from systems.command import status
from systems.command.processes import slurm_job, slurm_restarts
from systems.command.stored_config import read_config

# What may differ between a run and its continuation
FREE_TO_CHANGE = {
    "resume",
    "output",
    "folder",
    "progress",
    "checkpoint",
    "report",
    "export",
    "metric",
    "before_after",
    "launcher",
}
FREE_TO_CHANGE |= {"job.reference", "job.features", "job.clip"}  # look at pictures that are drawn already
# The first two only watch; any number of workers, or of processes that share a batch, does the same
FREE_ANYWHERE = {"callbacks", "logger", "workers", "devices", "num_nodes", "strategy", "use_distributed_sampler"}
LONGEST = 80  # letters of a name
OR_ELSE = "resume=never to replace it, or name=another to keep both"
log = logging.getLogger("systems")


class FinishedError(UserError):
    """There is nothing left to do. Of a sweep, such a job is skipped."""


class Interrupted(Exception):  # noqa: N818
    """Not an error: the user stopped the run; its state is saved."""


class Requeued(Interrupted):
    """SLURM will start it again."""


def slug(prompt: str | None) -> str:
    """A prompt as part of a file name: `A red dog.` -> `a-red-dog`. What that leaves out, but for case, a full stop,
    the ends of a path and what stands between words, is told by a hash: `a red dog!` -> `a-red-dog-a1358c17`."""
    text = " ".join((prompt or "run").lower().split())
    plain = re.sub(r"[^a-z0-9]+", "-", text.strip("./~"))
    if text.isascii() and plain.strip("-") == plain != "" and len(plain) <= LONGEST:
        return plain
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{plain[: LONGEST - 9].strip('-') or 'prompt'}-{digest}"


class RunFolder:
    """One run's files. `resume`: `auto` continues an unfinished run with the same config, `never` starts afresh,
    anything else is the checkpoint (or run folder) to continue from.
    `state`: the file that an unfinished run is continued from; where there is none, it has done nothing worth keeping.
    """

    def __init__(
        self,
        output: str,
        name: str,
        prompt: str | None,
        seed: Seed,
        variant: str | None = None,  # of a sweep: the overrides that tell its jobs apart
        resume: str = "auto",
        state: str = "checkpoints/last.ckpt",
    ) -> None:
        self.path = Path(output, name, _downwards(variant or ""), f"{slug(prompt)}-{seed}")
        self.aside = self.path.with_name(f".{self.path.name}.replaced")
        self.variant = variant
        self.resume = resume
        self.warning = ""  # about the checkpoint that is gone on from
        self.config = self.path / "config.yaml"
        self.command = self.path / "command.txt"
        self.log = self.path / "run.log"
        self.metrics = self.path / "metrics.json"  # written last: its presence means "finished"
        self.state = state
        self.checkpoint = self.path / state
        self.previous = previous_of(self.checkpoint)

    def plan(self, config: DictConfig) -> Path | None:
        """The checkpoint to continue from, None to start; UserError if either would destroy something."""
        resume = "auto" if self._is_restarted else self.resume
        if resume == "never":
            return None
        if self.metrics.exists():
            self._check_same(config, "a finished run")
            raise FinishedError(f"{self.path} holds a finished run: say {OR_ELSE}.")
        if self._holds_something:
            self._check_same(config, "an unfinished run")
        if resume != "auto":
            return self._given_checkpoint()
        return self._newest_whole(self.checkpoint) if self._holds_something else None

    @property
    def _is_restarted(self) -> bool:
        """By SLURM, which says what it said the first time, after this job has begun to make the run."""
        if not slurm_restarts() or not self._holds_something:
            return False
        begun = status.read_status(self.path)
        return begun is not None and begun.job == slurm_job()

    def _newest_whole(self, last: Path) -> Path:
        """The last checkpoint; where it is damaged or was being replaced, the one before."""
        damage = _damage(last)
        if not damage:
            return last
        previous = previous_of(last)
        if before := _damage(previous):
            raise UserError(f"checkpoint {last} {damage}, {previous.name} {before}: resume=never starts afresh.")
        self.warning = f"{last} {damage}: going on from {previous.name}, the one before."
        return previous

    def _check_same(self, config: DictConfig, what: str) -> None:
        """A finished run may be older than a key, or have lost its configuration."""
        is_finished = self.metrics.exists()
        try:
            saved = _leaves(read_config(self.config)) if self.config.exists() else {}
        except (ValueError, OSError) as error:
            raise UserError(f"{self.config}, of {what}, {error}: say {OR_ELSE}.") from None
        own = _leaves(config)
        known = saved.keys() & own.keys() if is_finished else saved.keys() | own.keys()
        if difference := _first_difference(saved, own, known):
            again = "" if is_finished else "the same again to continue it, "
            raise UserError(
                f"{self.path} holds {what} with another configuration ({difference}): say {again}{OR_ELSE}."
            )

    def _given_checkpoint(self) -> Path:
        path = Path(self.resume)
        file = path / self.state if path.is_dir() else path
        if path.is_dir() and previous_of(file).is_file():
            return self._newest_whole(file)
        if not file.is_file():
            raise UserError(
                f"resume={self.resume} is not a checkpoint: say auto, never, or the path of a {self.checkpoint.name}."
            )
        if damage := _damage(file):
            raise UserError(f"checkpoint {file} {damage}: resume=auto or resume=never goes without it.")
        return file

    def check_writable(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            probe = self.path / f".{uuid.uuid4().hex}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise UserError(
                f"output folder {self.path} cannot be written ({error.strerror}): say output=FOLDER for another place."
            ) from None

    def open(self, config: DictConfig, overrides: Sequence[str]) -> Path | None:
        """Writes down what runs, and how, and starts the log; returns the checkpoint to continue from.

        What a new run replaces is put aside, until `settle`.
        """
        self.settle()
        checkpoint = self.plan(config)
        if checkpoint is None and self._holds_something:
            self.path.rename(self.aside)
        elif checkpoint is None and self.path.exists():
            shutil.rmtree(self.path)
        elif checkpoint == self.previous:  # the only one that is whole: the next must not take its place
            self.checkpoint.unlink(missing_ok=True)
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        clear_drafts(self.path)
        write_text(self.config, OmegaConf.to_yaml(config, resolve=True))
        words = [word for word in overrides if not word.startswith(("folder.variant=", "launcher=", "launcher."))]
        words += [f'folder.variant="{self.variant}"'] if self.variant else []
        write_text(self.command, " ".join(["python launch.py", *map(_shell_word, words)]) + "\n")
        self._start_log()
        status.begin(self.path)
        if self.warning:
            log.warning(self.warning)
        return checkpoint

    def settle(self) -> None:
        """Of a run and the one that it replaces, one stays: the old one as long as the new one has saved nothing."""
        if not self.aside.exists():
            return
        if self._holds_something:
            shutil.rmtree(self.aside)
        else:
            shutil.rmtree(self.path, ignore_errors=True)
            self.aside.rename(self.path)

    @property
    def _holds_something(self) -> bool:
        return any(file.exists() for file in (self.checkpoint, self.previous, self.metrics))

    def _start_log(self) -> None:
        """Everything to run.log, what matters to the terminal."""
        file = logging.FileHandler(self.log)
        file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        console = logging.StreamHandler(sys.stdout)
        console.setLevel(logging.INFO)
        console.setFormatter(logging.Formatter("%(message)s"))
        logging.basicConfig(level=logging.INFO, handlers=[file, console], force=True)
        logging.getLogger("systems").setLevel(logging.DEBUG)


def _shell_word(override: str) -> str:
    """As one would type it: `prompt="a dog"`, which is both Hydra's and the shell's way to quote."""
    return override if re.fullmatch(r'[\w.]+="[\w ,.-]*"', override) else shlex.quote(override)


def _downwards(variant: str) -> str:
    """Of a sweep over paths: `prior.path=../a` stays within the sweep."""
    return "/".join("up" if part == ".." else part for part in variant.split("/"))


def _variant_path(variant: str | None) -> str:
    """In names of conf/: what sets a run of a sweep apart, as a folder. Experiments have names that do, by which one
    finds what another has trained."""
    apart = re.sub(r"(^|,)experiment=\w+", "", variant or "").lstrip(",")
    return f"/{_downwards(apart)}" if apart else ""


OmegaConf.register_new_resolver("variant_path", _variant_path, replace=True)


def interrupted(folder: Path, message: str) -> Interrupted:
    """Tells how to go on: the same command, without its wish for a fresh start."""
    command = re.sub(r" (resume=\S+|'resume=[^']+')", "", (folder / "command.txt").read_text().strip())
    return Interrupted(f"{message} Continue with:\n{command}")


def previous_of(checkpoint: Path) -> Path:
    """The one before is kept until the next is whole."""
    return checkpoint.with_name(f"previous{checkpoint.suffix}")


def _damage(path: Path) -> str:
    """A torch checkpoint is a zip archive with checksums, so that a damaged one is found without torch; of another kind
    of state its job judges. Empty: none."""
    if not path.exists():
        return "is missing"
    if path.suffix != ".ckpt":
        return ""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except Exception as error:  # whatever noise does to zipfile
        if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE):
            raise UserError(f"checkpoint {path} cannot be read ({error.strerror}): look after the disk.") from None
        damaged = "its table of contents"
    return f"is damaged ({damaged})" if damaged else ""


def _leaves(config: DictConfig) -> dict[str, str]:
    """Each resolved value under its dotted path, without what a continuation may change."""
    tree = OmegaConf.to_container(config, resolve=True)
    leaves: dict[str, str] = {}

    def walk(path: str, value: object) -> None:
        if path in FREE_TO_CHANGE:
            return
        if isinstance(value, dict):
            for key in value.keys() - FREE_ANYWHERE:
                walk(f"{path}.{key}" if path else str(key), value[key])
        else:
            leaves[path] = repr(value)

    walk("", tree)
    return leaves


def _first_difference(old: dict[str, str], new: dict[str, str], keys: Iterable[str]) -> str | None:
    for key in sorted(keys):
        if old.get(key) != new.get(key):
            return f"{key} was {old.get(key, 'absent')}, is {new.get(key, 'absent')}"
    return None
