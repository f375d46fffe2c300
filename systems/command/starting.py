"""init_from=FOLDER: a run that starts from what another has made. Here, what that means for its configuration."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from omegaconf import DictConfig, OmegaConf, open_dict

from data.errors import UserError
from systems.command.past_config import checked_config, past_config
from systems.command.stored_config import read_config

KEY = "init_from"
ABOUT = "run"
FIELD = "geometry.field"  # of a surface: what gives its colours


def take_over(config: DictConfig, overridden: Iterable[str] = ()) -> None:
    """Completes the configuration of a run with `init_from`, in place: the other run's prompt, unless one is given, and
    for a surface its field, so that colours are carried over exactly. What is then in config.yaml needs no other run.

    overridden: the keys that the user set.
    """
    if config.get(ABOUT) is not None:
        _take_name(config)
    folder = config.get(KEY)
    if folder is None:
        return
    if folder == "":
        raise UserError(f"{KEY} is missing: say {KEY}=outputs/text_to_3d/..., the folder of the run to start from")
    if "start" not in config.job or OmegaConf.select(config, "system.scene._target_", throw_on_missing=False) is None:
        raise UserError(f"{KEY}={folder}: this experiment makes no scene that could start as another; leave out {KEY}")
    source = _remembered(config, str(folder)) or past_config(folder, KEY)
    with open_dict(config):
        if OmegaConf.is_missing(config, "prompt"):
            config.prompt = source.prompt
        if OmegaConf.select(config, FIELD, throw_on_missing=False) is not None:
            _take_field(config, source, overridden)


def _take_name(config: DictConfig) -> None:
    """A job about a run has its prompt and its seed, by which its own folder is found."""
    if config[ABOUT] == "":
        raise UserError(f"{ABOUT} is missing: say {ABOUT}=outputs/text_to_3d/..., the folder of the run")
    source = past_config(config[ABOUT], ABOUT)
    config.prompt, config.seed = source.prompt, source.seed


def _take_field(config: DictConfig, source: DictConfig, overridden: Iterable[str]) -> None:
    for key in overridden:
        if key.startswith(f"{FIELD}.") or key.endswith(f"@{FIELD}"):
            raise UserError(f"{key}: with {KEY} the field is that of {config[KEY]}; leave out one of the two")
    geometry = source.system.scene.geometry
    field = geometry.get("field", geometry)
    given, needed = field.get("n_features", 3), config.get("n_features", 3)
    if given < needed:
        raise UserError(
            f"{KEY}={config[KEY]}: its field has {given} features, and this material needs {needed}: run it again with"
            " that material, or choose another here"
        )
    config.geometry.field = field
    rates = source.system.learning_rates.geometry
    own = config.system.learning_rates.geometry
    own.field = OmegaConf.merge(rates.get("field", rates), own.field)  # the field may learn under names of its own


def _remembered(config: DictConfig, folder: str) -> DictConfig | None:
    """Where the other run is gone: a run that has started from it, and knows what it took over."""
    if Path(folder, "config.yaml").is_file():
        return None
    resume = Path(str(config.resume))
    known = [resume / "config.yaml", resume.parent.parent / "config.yaml"]
    for file in [*known, *sorted(Path(config.output, config.name).rglob("config.yaml"))]:
        with suppress(ValueError, OSError):  # what is no run's says nothing about this one
            if read_config(file).get(KEY) == folder:
                return checked_config(file, f"{KEY}={folder}: what {file.parent} remembers of it")
    return None
