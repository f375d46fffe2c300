"""Whether the parts of a configuration fit each other, and the files that they name are there; without torch."""

from __future__ import annotations

import math
from collections.abc import Set
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from data.captioned_assets import ENDINGS
from data.errors import UserError
from metrics.clip_folder import find_clip
from systems.command.processes import check_tasks, processes
from systems.command.starting import FIELD, KEY
from systems.command.subject import check_subject
from systems.command.swept_runs import SWEEP, swept_runs
from systems.command.weights_folder import KEY as KEY_OF_WEIGHTS
from systems.command.weights_folder import check_replaceable

WEIGHTS = {"metrics.consistency.Lpips", "metrics.features.Inception"}  # what reads a file of weights
MESHES = {"models.dmtet.LockedMesh", "models.shapes.MeshShape"}  # what reads the file at its `path`
READS = {"models.physically_based.PhysicallyBased": 5}  # by material: the features of a field that it reads

WHOLE = {  # systems that train on the whole batch of a step at once: in pieces, it would be the same batch each time
    "systems.text_to_3d.TextTo3D",
    "systems.training.train_autoencoder.TrainAutoencoder",
    "systems.training.train_clip.TrainClip",
}
TEXT_TO_3D = "systems.text_to_3d.TextTo3D"
ALONE = {*WHOLE, "systems.training.dreambooth.DreamBooth"} - {TEXT_TO_3D}  # in one process


def check_parts(config: DictConfig, used: Set[str]) -> None:
    """used: the keys that the job comes to; what the others say does not matter."""
    _check_meshes(config, used)
    _check_features(config, used)
    _check_metrics(config, used)
    _check_sharing(config, used)
    check_subject(config)
    if KEY_OF_WEIGHTS in used:
        check_replaceable(config)
    if SWEEP in used:
        swept_runs(str(config[SWEEP]))


def _check_meshes(config: DictConfig, used: Set[str]) -> None:
    """Those of a field that another run has made are in its state, and the files may be gone."""
    made = f"{FIELD}." if config.get(KEY) is not None else None
    for key in sorted(used):
        parent, _, name = key.rpartition(".")
        reads = name == "path" and OmegaConf.select(config, f"{parent}._target_") in MESHES
        if reads and not (made and key.startswith(made)):
            _check_mesh(key, str(OmegaConf.select(config, key)))


def _check_mesh(key: str, path: str) -> None:
    if not Path(path).is_file():
        raise UserError(f"{key}={path} is not there: give an OBJ, GLB, PLY or STL file")
    if not path.lower().endswith(ENDINGS):
        raise UserError(f"{key}={path} is no mesh that can be read: give an OBJ, GLB, PLY or STL file")


def _check_features(config: DictConfig, used: Set[str]) -> None:
    needed = READS.get(str(OmegaConf.select(config, "material._target_")), 0)
    for own in ("geometry.n_features", "geometry.field.n_features"):
        given = OmegaConf.select(config, own)
        key = own if own in used else "n_features"
        if key in used and given is not None and given < needed:
            raise UserError(f"{key}={given}: material={config.material._target_} reads {needed}: say {key}={needed}")


def _check_metrics(config: DictConfig, used: Set[str]) -> None:
    """What a run looks with when it ends: hours later, a path that leads nowhere would be told too late."""
    for key in sorted(key for key in used if key.endswith(".path")):
        target, path = OmegaConf.select(config, f"{key.removesuffix('.path')}._target_"), OmegaConf.select(config, key)
        if target == "metrics.clip.Clip":
            find_clip(str(path), key)
        elif target in WEIGHTS and not Path(str(path)).is_file():
            raise UserError(f"{key}={path} is not there: give the file of weights that {target} reads")


def _check_sharing(config: DictConfig, used: Set[str]) -> None:
    check_tasks(config)
    system = str(OmegaConf.select(config, "system._target_"))
    takes_one = {"devices": ALONE, "num_nodes": ALONE, "accumulate_grad_batches": WHOLE}
    for key, systems in takes_one.items():
        given = OmegaConf.select(config, f"trainer.{key}") if f"trainer.{key}" in used else 1
        if given != 1 and system in systems:
            how = "a whole batch at once" if systems is WHOLE else "in one process"
            raise UserError(f"trainer.{key}={given}: {system.rpartition('.')[2]} trains {how}; leave it out")
    if system == TEXT_TO_3D and "system.batch_size" in used:
        _check_shares(config, processes(config))


def _check_shares(config: DictConfig, count: int) -> None:
    """Each process renders as many views as any other, whatever size a schedule sets."""
    scheduled = OmegaConf.select(config, "system.schedules.batch_size.values")
    key = "system.batch_size" if scheduled is None else "system.schedules.batch_size.values"
    for size in [config.system.batch_size] if scheduled is None else scheduled:
        if size % count:
            enough = math.lcm(size, count)
            raise UserError(f"{key}={size}: {count} processes share these views; say a multiple of {enough}")
