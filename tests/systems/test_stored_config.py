"""config.yaml of a run folder that anyone may have sent."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

import launch
from data.errors import UserError
from systems.command.stored_config import CALLED_FUNCTIONS, check_targets, read_config
from tests.conftest import Run

CONF = launch.CONF


def targets(node: object) -> set[str]:
    if isinstance(node, dict):
        own = {node["_target_"]} if "_target_" in node else set()
        return own.union(*map(targets, node.values()))
    return set[str]().union(*map(targets, node)) if isinstance(node, list) else set()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: ${oc.env:HOME}", "holds a link"),
        (b"a: &x [1]\nb: *x", "holds an alias"),
        (b"[" * 5000 + b"]" * 5000, "nested too deeply"),
        (b"a: !!python/object/apply:os.system [ls]", "is no configuration"),
        (b"a: [", "is no configuration"),
        (b"- 1", "is no table"),
        (b"\xff", "no text"),
        (b"a" * (2**20 + 1), "larger than 1,048,576 bytes"),
    ],
)
def test_what_is_no_configuration_is_told(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "config.yaml").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_config(tmp_path / "config.yaml")


def test_every_scene_renderer_and_schedule_of_ours_may_be_called() -> None:
    """All that conf/ names in those places is a class there, or one of the few functions."""
    named = set[str]().union(*(targets(yaml.safe_load(file.read_text())) for file in CONF.rglob("*.yaml")))
    ours = {name for name in named if name.startswith(("models.", "renderers.", "systems.schedules."))}
    assert len(ours) >= 30 and ours >= CALLED_FUNCTIONS
    check_targets([{"_target_": name} for name in sorted(ours)], "system", "here")


@pytest.mark.parametrize(
    "target",
    [
        *(
            "os.system",
            "builtins.eval",
            "models.unwrapping.subprocess.run",
            "models.shapes.read_triangles",
            "torch.load",
        ),
        *("systems.fit.Fit", "models.shapes.Path", "models.scene.nn.Module", "", "models", 3, None, ["os.system"]),
    ],
)
def test_nothing_else_is_called_nor_imported(target: object) -> None:
    with pytest.raises(UserError, match=r"here says system\.a\.0\.b\._target_=.*only classes that are defined in"):
        check_targets({"a": [{"b": {"_target_": target}}]}, "system", "here")


def test_all_functions_that_may_be_called_exist() -> None:
    for name in CALLED_FUNCTIONS:
        module, _, function = name.rpartition(".")
        assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.parametrize(
    "place", ["system.scene.geometry", "system.renderer.occupancy", "system.learning_rates", "prompt"]
)
@pytest.mark.parametrize("about", [["experiment=export", "run"], ["prompt=a red dog", "init_from"], ["init_from"]])
def test_a_past_run_runs_nothing(run: Run, past: Path, tmp_path: Path, place: str, about: list[str]) -> None:
    config = yaml.safe_load((past / "config.yaml").read_text())
    *parents, last = place.split(".")
    node = config
    for name in parents:
        node = node[name]
    node[last] = {"_target_": "os.system", "_args_": [f"touch {tmp_path / 'canary'}"]}
    (past / "config.yaml").write_text(yaml.dump(config))
    *others, key = about
    assert f"{key}={past}" in run.error(*others, f"{key}={past}")
    assert not (tmp_path / "canary").exists()


def test_what_remembers_another_run_is_no_way_around(run: Run, past: Path, tmp_path: Path) -> None:
    config = yaml.safe_load((past / "config.yaml").read_text()) | {
        "init_from": "gone",
        "prompt": {"_target_": "os.system"},
    }
    there = tmp_path / "outputs" / "text_to_3d" / "a"
    there.mkdir(parents=True)
    (there / "config.yaml").write_text(yaml.dump(config))
    assert "its config.yaml is damaged: its prompt is not what" in run.error("init_from=gone")
