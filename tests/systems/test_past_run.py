from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import trimesh

from data.errors import UserError
from systems.past_run import open_run


def test_scene_and_renderer_come_back_to_the_bit(make_run_folder: Callable[..., Path]) -> None:
    folder = make_run_folder()
    saved = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    run = open_run(folder)
    own = torch.nn.ModuleDict({"scene": run.scene, "renderer": run.renderer}).state_dict()
    assert own.keys() == saved.keys() and all(torch.equal(own[name], saved[name]) for name in own)
    assert run.step == 7 and run.config.prompt == "a red dog"


def test_a_run_that_began_as_a_mesh_opens_without_its_file(
    make_run_folder: Callable[..., Path], tmp_path: Path
) -> None:
    file = tmp_path / "box.obj"
    trimesh.creation.box().export(file)
    folder = make_run_folder("start=shape", "shape=mesh", f"shape.path={file}")
    points = torch.tensor([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]])
    before = open_run(folder).scene.geometry.density(points)
    file.unlink()
    assert torch.equal(open_run(folder).scene.geometry.density(points), before)


def test_a_folder_that_is_no_run_is_named_with_its_key(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"init_from=.*no config.yaml"):
        open_run(tmp_path, "init_from")


def test_a_run_that_saved_nothing_says_so(make_run_folder: Callable[..., Path]) -> None:
    folder = make_run_folder()
    (folder / "checkpoints" / "last.ckpt").unlink()
    with pytest.raises(UserError, match=r"has no checkpoints/last.ckpt"):
        open_run(folder)


def test_a_damaged_state_is_the_users_to_know(make_run_folder: Callable[..., Path]) -> None:
    folder = make_run_folder()
    (folder / "checkpoints" / "last.ckpt").write_bytes(b"PK\x03\x04 half a file")
    with pytest.raises(UserError, match=r"damaged"):
        open_run(folder)


def test_a_run_without_a_scene_is_refused(make_run_folder: Callable[..., Path]) -> None:
    folder = make_run_folder()
    (folder / "config.yaml").write_text("prompt: null\nsystem:\n  views: 4\n")
    with pytest.raises(UserError, match="holds no scene"):
        open_run(folder)


def test_what_is_scheduled_is_as_it_was_in_the_last_step(make_run_folder: Callable[..., Path]) -> None:
    """The folders hold 7 steps: the last one saw the schedule at 6 / 12."""
    run = open_run(make_run_folder("renderer=sdf", "trainer.max_steps=12"))
    assert run.scene.geometry.profile.beta == pytest.approx(0.1 - 0.09 * 0.5 / 0.6)
    levels = "{_target_: systems.schedules.Steps, values: [1, 2], at: [0.5]}"
    for max_steps, active in ((12, 2), (13, 1)):
        scheduled = f"+system.schedules.scene.geometry.encoding.active_levels={levels}"
        run = open_run(make_run_folder(scheduled, f"trainer.max_steps={max_steps}"))
        assert run.scene.geometry.encoding.active_levels == active
