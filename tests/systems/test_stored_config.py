"""config.yaml of a run folder that anyone may have sent."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

import launch
from data.errors import UserError
from systems.command.stored_config import CALLED_FUNCTIONS, check_targets, read_config, read_values
from tests.conftest import Run
from tests.wrong_files import LINKS, call, change

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
        (b'"${b}": 1', "holds a link"),
        *((f'a: [{{b: "{dollar}{brace}oc.env:HOME}}"}}]'.encode(), "holds a link") for dollar, brace in LINKS),
        (b"a: &x [1]\nb: *x", "holds an alias"),
        (b"a: !!bool zz", "holds a tag"),
        (b"a: !!timestamp zz", "holds a tag"),
        (b"a: !!binary JHthfQ==", "holds a tag"),
        (b"a: 0x_", "is no configuration"),
        (b"a: " + b"9" * 5000, "is no configuration"),
        (b"[" * 900 + b"]" * 900, "nested too deeply"),
        (b"[" * 5000 + b"]" * 5000, "nested too deeply"),
        (b"a: !!python/object/apply:os.system [ls]", "holds a tag"),
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


@pytest.mark.parametrize(
    "content",
    [
        b"a: &x [1]\nb: *x",
        b"a: !!bool zz",
        b"[" * 5000,
        b"- 1",
        b"\xff",
        b"a" * (2**20 + 1),
        b"a: 0x_",
        b"? {a: 1}\n: 2",
    ],
)
def test_values_that_are_only_shown_are_read_as_carefully(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.yaml").write_bytes(content)
    with pytest.raises(ValueError, match=r"^(is|holds) "):
        read_values(tmp_path / "config.yaml")


def test_letters_that_mean_something_elsewhere_are_values(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("prompt: a $dog & a {cat}! *\n")
    expected = {"prompt": "a $dog & a {cat}! *"}
    assert read_config(tmp_path / "config.yaml") == expected == read_values(tmp_path / "config.yaml")


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


@pytest.mark.parametrize("key", ["_args_", "_convert_", "_partial_", "_recursive_", 3])
def test_how_a_part_is_called_is_not_for_a_past_run_to_say(key: object) -> None:
    with pytest.raises(UserError, match=rf"here says system\.a\.0\.{key}=1, and only classes that are defined in"):
        check_targets({"a": [{"_target_": "models.scene.Scene", key: 1}]}, "system", "here")


def test_all_functions_that_may_be_called_exist() -> None:
    for name in CALLED_FUNCTIONS:
        module, _, function = name.rpartition(".")
        assert callable(getattr(importlib.import_module(module), function))


@pytest.fixture
def sent(make_run_folder: Callable[..., Path], tmp_path: Path) -> Path:
    """A whole run, which nothing but what it says of itself keeps from being built."""
    return shutil.copytree(make_run_folder(), tmp_path / "sent")


BLOCKED = "only classes that are defined in models/, renderers/ and systems/schedules.py are called for another run"
PLACES = ["scene.geometry", "scene.material", "renderer.occupancy", "schedules.scene", "learning_rates"]
ABOUT = [["experiment=export", "run"], ["prompt=a red dog", "init_from"], ["init_from"]]


@pytest.mark.parametrize("target", ["data.whole_file.write_text", "systems.evaluation.child_process.start"])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("about", ABOUT)
def test_a_past_run_runs_nothing(
    run: Run, sent: Path, tmp_path: Path, target: str, place: str, about: list[str]
) -> None:
    """Not what is of this program, either: Hydra forbids some programs of others, and none of ours."""
    change(sent / "config.yaml", f"system.{place}", call(target, tmp_path / "canary"))
    *others, key = about
    said = run.error(*others, f"{key}={sent}")
    assert said.startswith(f"fourview: {key}={sent}: its config.yaml says system.{place}._target_=") and BLOCKED in said
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(("dollar", "brace"), LINKS)
@pytest.mark.parametrize(
    ("about", "place"),
    list(zip(ABOUT, ["system.scene.material", "system.learning_rates.geometry", "prompt"], strict=True)),
)
def test_what_a_past_run_names_elsewhere_is_not_fetched(
    run: Run, sent: Path, tmp_path: Path, dollar: str, brace: str, about: list[str], place: str
) -> None:
    change(sent / "config.yaml", "evil", call("data.whole_file.write_text", tmp_path / "canary"))
    change(sent / "config.yaml", place, "LINK")
    text = (sent / "config.yaml").read_text()
    assert text.count(": LINK\n") == 1
    (sent / "config.yaml").write_text(text.replace("LINK", f'"{dollar}{brace}evil}}"'))
    *others, key = about
    assert "its config.yaml cannot be read: it holds a link" in run.error(*others, f"{key}={sent}")
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("change_to", [None, "???"])
def test_a_prompt_of_a_past_run_is_one(run: Run, sent: Path, change_to: str | None) -> None:
    change(sent / "config.yaml", "prompt", change_to or [1])
    assert "its prompt is not what a run writes" in run.error("experiment=export", f"run={sent}")


def test_what_remembers_another_run_is_no_way_around(run: Run, sent: Path, tmp_path: Path) -> None:
    there = tmp_path / "outputs" / "text_to_3d" / "a"
    there.parent.mkdir(parents=True)
    sent.rename(there)
    change(there / "config.yaml", "init_from", "gone")
    change(there / "config.yaml", "system.scene.geometry", call("data.whole_file.write_text", tmp_path / "canary"))
    said = run.error("init_from=gone")
    assert "remembers of it: its config.yaml says system.scene.geometry._target_=" in said and BLOCKED in said
    assert not (tmp_path / "canary").exists()
