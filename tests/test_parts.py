"""Parts of a configuration that do not fit each other, and meshes that are not there: told before torch is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from tests.conftest import Run

PROMPT = "prompt=a red dog"
NOT_THERE = {"_target_": "models.shapes.MeshShape", "path": "no.glb"}
INLINE = "{_target_: models.shapes.MeshShape, path: no.glb}"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["renderer=texture", "geometry.path=no.glb"], "geometry.path=no.glb is not there: give an OBJ, GLB, PLY"),
        (["renderer=dmtet", "shape=mesh", "shape.path=no.glb"], "shape.path=no.glb is not there: give an OBJ, GLB"),
        (["renderer=sdf", "shape=mesh", "shape.path=no.glb"], "shape.path=no.glb is not there: give an OBJ, GLB"),
        (["start=shape", "shape=mesh", "shape.path=no.glb"], "shape.path=no.glb is not there: give an OBJ, GLB"),
        (["renderer=dmtet", f"geometry.shape={INLINE}"], "geometry.shape.path=no.glb is not there: give an OBJ, GLB"),
        (["renderer=texture", f"geometry.path={__file__}"], "test_parts.py is no mesh that can be read: give an OBJ"),
        (["+start=shape", "shape=mesh"], "cannot be composed: Multiple values for start"),
        (["material=pbr", "n_features=3"], "n_features=3: material=models.physically_based.PhysicallyBased reads 5"),
        (["material=pbr", "geometry.n_features=4"], "reads 5: say geometry.n_features=5"),
        (["material=pbr", "renderer=dmtet", "geometry.field.n_features=3"], "say geometry.field.n_features=5"),
        (["material=pbr", "material.environment.height=1"], "height=1 must be a whole number above 1"),
        (["job.start.threshold=-1"], "job.start.threshold=-1 must be a number above 0"),
        (
            ["experiment=train_clip", "trainer.devices=2"],
            "trainer.devices=2: TrainClip trains in one process; leave it",
        ),
        (["experiment=train_clip", "trainer.accumulate_grad_batches=2"], "=2: TrainClip trains a whole batch at once"),
        (["experiment=train_autoencoder", "trainer.num_nodes=2"], "=2: TrainAutoencoder trains in one process"),
        (["experiment=train_autoencoder", "trainer.accumulate_grad_batches=2"], "trains a whole batch at once"),
        (["trainer.devices=3"], "system.batch_size=4: 3 processes share these views; say a multiple of 12"),
        (["trainer.devices=2", "trainer.num_nodes=4"], "=4: 8 processes share these views; say a multiple of 8"),
        (["trainer.devices=auto"], "trainer.devices=auto must be a whole number above 0"),
        (["+trainer.accumulate_grad_batches=4"], "accumulate_grad_batches=4: TextTo3D trains a whole batch at once"),
        (["experiment=sample", "init_from=outputs/x"], "init_from=outputs/x: this experiment makes no scene that"),
        (["experiment=train_prior", "init_from=outputs/x"], "init_from=outputs/x: this experiment makes no scene that"),
    ],
)
def test_parts_that_do_not_fit_are_named(run: Run, overrides: list[str], message: str) -> None:
    assert message in run.error(PROMPT, *overrides)


def test_meshes_of_a_field_that_is_taken_over_may_be_gone(run: Run, past: Path) -> None:
    config = OmegaConf.load(past / "config.yaml")
    config.system.scene.geometry.density_bias = {"_target_": "models.geometry.FromShape", "shape": NOT_THERE}
    OmegaConf.save(config, past / "config.yaml")
    run.accepts("renderer=dmtet", f"init_from={past}")


def test_a_name_that_no_file_can_have_is_told(run: Run) -> None:
    assert "File name too long; say another path" in run.error(PROMPT, f"prior.path={'a' * 300}")


def test_a_prompt_of_letters_that_no_toy_is_named_with_is_told(run: Run) -> None:
    assert "has not learned '猫が'" in run.error("prompt=a red 猫が dog")


def test_a_prompt_with_a_link_to_nowhere_is_told(run: Run) -> None:
    assert "prompt" in run.error("prompt=a ${nothing} dog")
