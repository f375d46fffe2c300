"""Weights & Biases: online for a user who is logged in, else offline, to be sent later with `wandb sync`."""

from __future__ import annotations

import netrc
import os
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from pytorch_lightning.loggers import Logger, WandbLogger

from systems.command.run_folder import RunFolder
from systems.reports.tables import Table


class WandbLog(WandbLogger):
    """One W&B run per run, also where a sweep has many in one process; a resumed run goes on in its W&B run."""

    def __init__(self, project: str, group: str, folder: RunFolder) -> None:
        folder.path.mkdir(parents=True, exist_ok=True)
        os.environ.setdefault("WANDB_SILENT", "true")
        super().__init__(
            project=project,
            group=group,
            name=folder.path.name,
            id=_run_id(folder.path / "wandb_id.txt"),
            save_dir=str(folder.path),
            offline=not _logged_in(),
        )

    def show(self, metrics: Mapping[str, object], pictures: Mapping[str, Path], video: Path | None = None) -> None:
        """What a run ends with; the numbers stand in its summary."""
        self.experiment.summary.update(dict(metrics))
        for name, picture in pictures.items():
            self.log_image(name, [str(picture)])
        if video:
            self.log_video(video.stem, [str(video)])

    def show_table(self, name: str, table: Table, metrics: Mapping[str, object], pictures: Mapping[str, Path]) -> None:
        """Of a job that does nothing else with W&B."""
        self.log_table(name, [table.about, *table.columns], table.texts())
        self.show(metrics, pictures)
        self.finalize("success")

    def finalize(self, status: str) -> None:
        super().finalize(status)
        self.experiment.finish()


def send_picture(loggers: Sequence[Logger], name: str, picture: Path, step: int) -> None:
    """While a run goes on, to W&B if that listens."""
    for logger in loggers:
        if isinstance(logger, WandbLog):
            logger.log_image(name, [str(picture)], step)


def _run_id(file: Path) -> str:
    """Drawn once per run folder."""
    if not file.exists():
        file.write_text(uuid.uuid4().hex[:8])
    return file.read_text()


def _logged_in() -> bool:
    if "WANDB_API_KEY" in os.environ:
        return True
    try:
        return netrc.netrc().authenticators("api.wandb.ai") is not None
    except (OSError, netrc.NetrcParseError):
        return False
