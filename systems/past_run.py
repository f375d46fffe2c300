"""A run that has been, from its folder: for what comes after it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from torch import Tensor, nn

from data import torch_file
from data.cameras import Cameras
from data.errors import UserError
from models.scene import Scene
from renderers.output import Renderer, RenderOutput
from systems.command.past_config import STATE, past_config
from systems.command.trees import flatten
from systems.schedules import Schedule, ScheduleTable, last_progress

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PastRun:
    """The scene as it was after `step` steps, on the CPU, with the renderer that showed it; `config` has all links
    resolved."""

    config: DictConfig
    scene: Scene
    renderer: Renderer
    step: int

    @property
    def prompt(self) -> str:
        return str(self.config.prompt)

    def to(self, device: torch.device) -> PastRun:
        """Moves its parts."""
        for part in (self.scene, self.renderer):
            if isinstance(part, nn.Module):
                part.to(device)
        return self

    @torch.no_grad()
    def look(self, cameras: Cameras) -> RenderOutput:
        """A render without randomness, where its scene is."""
        return self.renderer(self.scene, cameras.to(next(self.scene.parameters()).device))


def open_run(folder: str | Path, key: str = "run") -> PastRun:
    """A finished or interrupted run. key: under which the user named the folder, for the UserError if it is none."""
    config = past_config(folder, key)
    tensors, step = _read_state(Path(folder, STATE), f"{key}={folder}")
    try:
        scene = instantiate(config.system.scene, _convert_="all")
        renderer = instantiate(config.system.renderer, _convert_="all")
        if not (isinstance(scene, Scene) and isinstance(renderer, Renderer)):
            raise TypeError(f"they make a {type(scene).__name__} and a {type(renderer).__name__}")
        for name, part in (("scene", scene), ("renderer", renderer)):
            if isinstance(part, nn.Module):
                part.load_state_dict(under(name, tensors))
        run = PastRun(config, scene, renderer, step)
        ScheduleTable(run, _of_the_scene(config)).apply(last_progress(run.step, config.system.max_steps))
    except Exception as error:  # whatever a class says to values that another version, or nobody, has written
        log.debug("%s=%s cannot be built:", key, folder, exc_info=error)
        reason = " ".join(str(error).split())[:300]
        raise UserError(
            f"{key}={folder}: config.yaml and {STATE} are damaged, or of another version of this program ({reason})"
        ) from error
    return run


def _read_state(file: Path, named: str) -> tuple[dict[str, Tensor], int]:
    """The tensors by name, and after how many steps."""
    again = "run it again: its command.txt says how"
    try:
        saved = torch_file.load(file)
    except ValueError as error:
        raise UserError(f"{named}: {STATE} cannot be read: a file {error}; {again}") from error
    match saved:
        case {"state_dict": dict(tensors), "global_step": int(step)} if step >= 0:
            if all(isinstance(tensor, Tensor) for tensor in tensors.values()):
                return tensors, step
    raise UserError(f"{named}: {STATE} holds no state of a scene; {again}")


def _of_the_scene(config: DictConfig) -> dict[str, Schedule | None]:
    """The schedules of what is there without the rest of the system."""
    schedules = flatten(instantiate(config.system.schedules, _convert_="all"))
    return {path: schedule for path, schedule in schedules.items() if path.startswith(("scene.", "renderer."))}


def under(name: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The entries below a module's name, without it."""
    prefix = f"{name}."
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
