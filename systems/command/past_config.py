"""The configuration of a run that has been: read without torch, so that a wrong folder is told within a second."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import cast

from omegaconf import DictConfig, OmegaConf

from data.errors import UserError
from systems.command.stored_config import check_targets, read_config
from systems.command.walk import Walk

STATE = Path("checkpoints") / "last.ckpt"
BUILT = ("scene", "renderer", "schedules")  # of its system, what is built again
TAKEN = (*BUILT, "learning_rates")  # and what comes into the configuration of another run
LARGEST_SEED = 2**32 - 1


def past_config(folder: str | Path, key: str) -> DictConfig:
    """What a run folder says that it ran, all links resolved; UserError if it holds no text-to-3D run that was saved,
    or one that would call what is not ours.

    key: under which the user named the folder, for that message.
    """
    file, state = Path(folder, "config.yaml"), Path(folder, STATE)
    if not file.is_file():
        raise UserError(f"{key}={folder} is no run folder (it has no config.yaml): say {key}=outputs/text_to_3d/...")
    if not state.is_file():
        raise UserError(f"{key}={folder} has no {STATE}: the run was not a text-to-3D run, or stopped before it saved")
    if not zipfile.is_zipfile(state):
        raise UserError(f"{key}={folder}: {STATE} is damaged; run it again: its command.txt says how")
    return checked_config(file, f"{key}={folder}")


def checked_config(file: Path, named: str) -> DictConfig:
    """named: how the user named its folder."""
    try:
        found = read_config(file)
    except (ValueError, OSError) as error:
        raise UserError(f"{named}: its config.yaml cannot be read: it {error}") from None
    raw = cast(dict[str, object], OmegaConf.to_container(found))
    system = raw.get("system")
    if not isinstance(system, dict) or OmegaConf.select(found, "system.scene.geometry._target_") is None:
        raise UserError(f"{named} holds no scene: say {named.partition('=')[0]}=FOLDER of a text-to-3D run")
    where = f"{named}: its config.yaml"
    for name in TAKEN:
        check_targets(system.get(name), f"system.{name}", where)
    _check_values(raw, where)
    try:
        for name in BUILT:
            Walk(raw).check(system[name], system[name], f"system.{name}")
    except UserError as error:
        raise UserError(f"{where} is damaged, or of another version of this program ({error})") from None
    return found


def _check_values(raw: dict[str, object], where: str) -> None:
    """What other runs read of it."""
    system = cast(dict[str, object], raw["system"])
    report = raw.get("report")
    prompt, seed, steps = raw.get("prompt"), raw.get("seed"), system.get("max_steps")
    rates = system.get("learning_rates")
    fits = {
        "prompt": isinstance(prompt, str | None) and prompt != "???",  # which is OmegaConf's word for none yet
        "seed": type(seed) is int and 0 <= seed <= LARGEST_SEED,
        "report": isinstance(report, dict) and all(_is_number(report.get(name)) for name in ("elevation", "fov")),
        "report.distance": isinstance(report, dict)
        and (report.get("distance") is None or _is_number(report["distance"])),
        "system.renderer": isinstance(system.get("renderer"), dict) and "_target_" in cast(dict, system["renderer"]),
        "system.schedules": isinstance(system.get("schedules"), dict),
        "system.max_steps": type(steps) is int and steps > 0,
        "system.learning_rates.geometry": isinstance(rates, dict) and isinstance(rates.get("geometry"), dict),
    }
    for key, is_right in fits.items():
        if not is_right:
            raise UserError(f"{where} is damaged: its {key} is not what a run writes; give another run")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
