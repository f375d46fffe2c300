"""The configuration of a run that has been: read without torch, so that a wrong folder is told within a second."""

from __future__ import annotations

import zipfile
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError  # type: ignore[import-untyped]

from data.errors import UserError

STATE = Path("checkpoints") / "last.ckpt"


def past_config(folder: str | Path, key: str) -> DictConfig:
    """What a run folder says that it ran, all links resolved; UserError if it holds no text-to-3D run that was saved.

    key: under which the user named the folder, for that message.
    """
    config, state = Path(folder, "config.yaml"), Path(folder, STATE)
    if not config.is_file():
        raise UserError(f"{key}={folder} is no run folder (it has no config.yaml): say {key}=outputs/text_to_3d/...")
    if not state.is_file():
        raise UserError(f"{key}={folder} has no {STATE}: the run was not a text-to-3D run, or stopped before it saved")
    if not zipfile.is_zipfile(state):
        raise UserError(f"{key}={folder}: {STATE} is damaged; run it again: its command.txt says how")
    try:
        found = OmegaConf.load(config)
    except (YAMLError, OSError, UnicodeDecodeError) as error:
        raise UserError(f"{key}={folder}: its config.yaml cannot be read ({str(error).splitlines()[0]})") from None
    if not isinstance(found, DictConfig) or OmegaConf.select(found, "system.scene.geometry._target_") is None:
        raise UserError(f"{key}={folder} holds no scene: say {key}=FOLDER of a text-to-3D run")
    return found
