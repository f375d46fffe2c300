"""The folder that a training writes its weights to, which is none of its run's: others find it there. Without torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from data.errors import UserError
from guidance.prior_folder import PARTS
from systems.command.claim import claimed

KEY = "system.out"
CLIP = ("config.json", "model.safetensors", "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json")
REPLACED = {  # by system, all that may be in a folder that is replaced as a whole
    "systems.training.train_prior.TrainPrior": PARTS,
    "systems.training.train_clip.TrainClip": CLIP,
}


def weights_folder(config: DictConfig) -> Path | None:
    out = OmegaConf.select(config, KEY)
    return None if out is None else Path(str(out)).resolve()


def check_replaceable(config: DictConfig) -> None:
    """A training deletes what is in its folder: that must be the weights of another."""
    out, parts = weights_folder(config), REPLACED.get(str(OmegaConf.select(config, "system._target_")))
    if out is None or parts is None or not out.exists():
        return
    if not out.is_dir() or out.is_mount() or Path.cwd().is_relative_to(out):
        raise UserError(f"{KEY}={config.system.out} is no folder that a training can replace: name another")
    if others := sorted(entry.name for entry in out.iterdir() if entry.name not in parts):
        raise UserError(
            f"{KEY}={config.system.out} holds {others[0]}, which is none of what this training writes and replaces:"
            " name another folder"
        )


def written(config: DictConfig) -> list[tuple[Path, Path]]:
    """The folder of the run, and that of its weights, if it writes any there."""
    out = weights_folder(config)
    return [] if out is None else [(instantiate(config.folder).path, out)]


def check_weights_apart(runs: Sequence[tuple[Path, Path]]) -> None:
    """UserError if the weights of a run of a sweep would replace those of another."""
    owners: dict[Path, Path] = {}
    for run, out in runs:
        owners.setdefault(out, run)
    for run, out in runs:
        for taken in (out, *out.parents):
            if owners.get(taken, run) != run:
                raise UserError(
                    f"{KEY}={taken}: {owners[taken]} and {run} would both write their weights there; let it differ, as"
                    f" in '{KEY}=FOLDER/${{folder.variant}}-${{seed}}'"
                )


@contextmanager
def claimed_weights(config: DictConfig) -> Iterator[None]:
    """As the folder of a run, it belongs to one process at a time."""
    out = weights_folder(config)
    if out is None:
        yield
        return
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{KEY}={config.system.out} cannot be written ({error.strerror}): name another") from None
    with claimed(out, f"{KEY}=another"):
        yield
