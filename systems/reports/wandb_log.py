"""Weights & Biases: online for a user who is logged in, else offline, to be sent later with `wandb sync`."""

from __future__ import annotations

import json
import logging
import netrc
import os
import uuid
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Protocol, runtime_checkable
from urllib.parse import urlparse

import torch.distributed as dist
from omegaconf import OmegaConf
from pytorch_lightning.loggers import Logger

from data.plain_text import one_line
from data.whole_file import write_text
from systems.command.run_folder import Interrupted, RunFolder
from systems.reports.environment import environment
from systems.reports.tables import Table
from systems.reports.wandb_folders import sync_line

log = logging.getLogger(__name__)
JUDGED = ("clip_score", "janus_front_arcs")  # have been sent on the way, too: their curves end where the run does
REASON_LINES = 3  # of an error: the first of pydantic's only says how many there are
PATIENCE = 30.0  # seconds to wait for W&B at the start, and four times as long for the last upload


@runtime_checkable
class Summary(Protocol):
    def update(self, values: dict[str, object]) -> None: ...


@runtime_checkable
class Run(Protocol):
    """What is used of a `wandb.Run`."""

    @property
    def summary(self) -> Summary: ...

    @property
    def step(self) -> int: ...

    @property
    def offline(self) -> bool: ...

    def log(self, data: dict[str, object], step: int | None = None) -> None: ...

    def finish(self, exit_code: int | None = None) -> None: ...


class WandbLog(Logger):
    """One W&B run per run, also where a sweep has many in one process; a resumed run goes on in its W&B run.

    It begins with the first thing to send, and only in the first process of a run. Nothing that W&B does or lacks ends
    a run: a warning says that nothing more is sent. W&B's step is that of metrics.csv.
    entity: the user or team; null: as W&B has it. group: of a sweep.
    """

    def __init__(
        self,
        project: str,
        folder: RunFolder,
        entity: str | None = None,
        group: str | None = None,
        tags: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.project, self.entity, self.group, self.tags = project, entity, group, tags
        self.folder = folder
        self.run: Run | None = None
        self.is_over = False

    @property
    def name(self) -> str:
        return "/".join(filter(None, (self.folder.variant, self.folder.path.name)))

    @property
    def version(self) -> str:
        """The id of the W&B run, drawn once per run folder."""
        file = self.folder.path / "wandb_id.txt"
        if not (file.exists() and file.read_text()):
            file.parent.mkdir(parents=True, exist_ok=True)
            write_text(file, uuid.uuid4().hex[:8])
        return file.read_text()

    @property
    def save_dir(self) -> str:
        return str(self.folder.path)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        if metrics:
            self._tell(lambda run: run.log(dict(metrics), step))

    def log_hyperparams(self, params: dict[str, object] | Namespace) -> None:
        """The configuration is there from the start."""

    def show_picture(self, name: str, picture: Path, step: int) -> None:
        self._tell(lambda run: run.log({name: _media(picture)}, step))

    def show_table(self, name: str, table: Table, metrics: Mapping[str, object], pictures: Mapping[str, Path]) -> None:
        """Of a job that does nothing else with W&B."""
        self._tell(lambda run: run.log({name: _table([table.about, *table.columns], table.texts())}))
        self._show(metrics, pictures)
        self._end(0)

    def finalize(self, status: str) -> None:
        """Sends what the run folder ends with, if it has come to its end."""
        if self.folder.metrics.exists():
            found = [self.folder.path / file for file in ("views.png", "turntable.mp4", "mesh.glb")]
            metrics = json.loads(self.folder.metrics.read_text())
            self._show(metrics, {file.stem: file for file in found if file.exists()})
        self._end(0 if status == "success" else 1)

    def _show(self, metrics: Mapping[str, object], files: Mapping[str, Path]) -> None:
        """The numbers stand in the summary; and as a row, since W&B puts the tables of many runs together."""

        def show(run: Run) -> None:
            judged = {name: metrics[name] for name in JUDGED if isinstance(metrics.get(name), int | float)}
            row = {"run": self.name} | {k: v for k, v in metrics.items() if isinstance(v, str | int | float)}
            shown = {name: _media(file) for name, file in files.items()}
            last = metrics.get("steps")
            step = max(last - 1, run.step) if isinstance(last, int) else None  # earlier ones W&B would ignore
            run.log({**shown, **judged, "metrics": _table(list(row), [list(row.values())])}, step)
            run.summary.update(dict(metrics))

        self._tell(show)

    def _tell(self, what: Callable[[Run], None]) -> None:
        if self.is_over or (dist.is_available() and dist.is_initialized() and dist.get_rank() > 0):
            return
        try:
            self.run = self.run or self._start()
            what(self.run)
        except Interrupted:
            raise
        except Exception as error:  # whatever W&B raises
            self.is_over = True
            there = self.folder.path / "metrics.csv"
            log.warning("W&B fails (%s): nothing more is sent to it, and the results are in %s", _reason(error), there)

    def _start(self) -> Run:
        os.environ.setdefault("WANDB_SILENT", "true")
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        if not os.environ.get("WANDB_MODE"):
            os.environ.pop("WANDB_MODE", None)  # W&B takes an empty one for an unknown mode
        import wandb

        mode = os.environ.get("WANDB_MODE") or ("online" if _logged_in() else "offline")
        try:
            return self._init(wandb, mode)
        except wandb.Error as error:
            if mode != "online":
                raise
            log.warning("W&B cannot be reached (%s): this run is recorded offline", _reason(error))
            wandb.teardown()  # else the run that could not begin would be in the way
            return self._init(wandb, "offline")

    def _init(self, wandb: ModuleType, mode: str) -> Run:
        config = OmegaConf.to_container(OmegaConf.load(self.folder.config)) if self.folder.config.exists() else {}
        assert isinstance(config, dict)
        return wandb.init(
            project=self.project,
            entity=self.entity,
            group=self.group,
            tags=list(self.tags),
            name=self.name,
            id=self.version,
            resume="allow" if mode == "online" else None,  # offline, the same id does it
            dir=self.save_dir,
            mode=mode,
            config={**config, "environment": environment(self.folder.command)},
            settings=wandb.Settings(
                init_timeout=PATIENCE,
                finish_timeout=4 * PATIENCE,
                finish_timeout_raises=True,
                reinit="create_new",
            ),
        )

    def _end(self, exit_code: int) -> None:
        """Says how to send what is recorded here and not there."""
        if self.run is not None:
            self._tell(lambda run: run.finish(exit_code))
            if self.run.offline or self.is_over:
                kind, words = ("offline-run", []) if self.run.offline else ("run", ["--include-online"])
                folders = sorted((self.folder.path / "wandb").glob(f"{kind}-*-{self.version}*"))
                log.info("Recorded here; to send it to W&B:\n%s", sync_line(folders, *words))
        if self.is_over:
            _stop()
        self.is_over = True


def _stop() -> None:
    """After a failure, so that the next run of a sweep starts W&B anew."""
    with suppress(Exception):
        import wandb

        wandb.teardown()


def send_picture(loggers: Sequence[Logger], name: str, picture: Path, step: int) -> None:
    """While a run goes on, to W&B if that listens."""
    for logger in loggers:
        if isinstance(logger, WandbLog):
            logger.show_picture(name, picture, step)


def _media(file: Path) -> object:
    import wandb

    kinds = {".png": wandb.Image, ".mp4": wandb.Video, ".glb": wandb.Object3D}
    return kinds[file.suffix](str(file))


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> object:
    import wandb

    return wandb.Table(columns=list(columns), data=[list(row) for row in rows])


def _reason(error: Exception) -> str:
    """In a line."""
    return one_line(" ".join((str(error) or type(error).__name__).splitlines()[:REASON_LINES]))


def _logged_in() -> bool:
    if "WANDB_API_KEY" in os.environ:
        return True
    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
