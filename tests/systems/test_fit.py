"""A training goes on from its own state, and from nothing else."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from data.errors import FailedError, UserError
from systems.command.run_folder import Interrupted, RunFolder
from systems.fit import Fit
from systems.text_to_3d import TextTo3D


class Malicious:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, ...]:
        return (eval, (f"open({str(self.canary)!r}, 'w')",))


class Stumble(Callback):
    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int) -> None:
        raise RuntimeError("a bug")


@pytest.fixture
def state(tmp_path: Path, make_system: Callable[..., TextTo3D], make_trainer: Callable[..., Trainer]) -> Path:
    trainer = make_trainer(max_steps=2)
    trainer.fit(make_system())
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    return tmp_path / "last.ckpt"


def going_on(system: TextTo3D, file: Path, *callbacks: Callback) -> Callable[[], None]:
    trainer = partial(
        Trainer, max_steps=4, max_epochs=-1, logger=False, callbacks=list(callbacks), enable_progress_bar=False,
        enable_checkpointing=False, enable_model_summary=False,
    )  # fmt: skip
    return lambda: Fit(system, trainer, "cpu").run(RunFolder(str(file.parent), "run", "a dog", 0), file)


def test_it_goes_on_where_it_was(make_system: Callable[..., TextTo3D], state: Path) -> None:
    system = make_system()
    going_on(system, state)()
    assert system.global_step == 4


def test_a_program_in_a_checkpoint_is_not_run(
    make_system: Callable[..., TextTo3D], state: Path, tmp_path: Path
) -> None:
    saved = torch.load(state, weights_only=True)
    torch.save(saved | {"state_dict": Malicious(tmp_path / "canary")}, state)
    with pytest.raises(UserError, match=r"resume: .* is a file that holds more than tensors"):
        going_on(make_system(), state)()
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"optimizer_states": [{"state": {}, "param_groups": []}]},
        {"optimizer_states": 3},
        {"loops": {}},
        {"state_dict": {}},
    ],
)
def test_what_cannot_be_restored_is_told(
    make_system: Callable[..., TextTo3D], state: Path, change: dict[str, object]
) -> None:
    torch.save(torch.load(state, weights_only=True) | change, state)
    with pytest.raises(UserError, match="resume"):
        going_on(make_system(), state)()


def test_a_bug_after_that_is_no_fault_of_the_checkpoint(make_system: Callable[..., TextTo3D], state: Path) -> None:
    with pytest.raises(RuntimeError, match="a bug"):
        going_on(make_system(), state, Stumble())()


class Full(Callback):
    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        raise OSError(28, "No space left on device")


def test_nor_is_what_fails_after_a_training_that_was_complete(
    make_system: Callable[..., TextTo3D], state: Path
) -> None:
    trainer = partial(Trainer, max_steps=2, max_epochs=-1, logger=False, callbacks=[Full()], enable_progress_bar=False)
    with pytest.raises(OSError, match="No space"):
        Fit(make_system(), trainer, "cpu").run(RunFolder(str(state.parent), "run", "a dog", 0), state)


class Stop(Callback):
    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        raise KeyboardInterrupt


def test_ctrl_c_before_the_first_step_is_no_failure(make_system: Callable[..., TextTo3D], state: Path) -> None:
    folder = RunFolder(str(state.parent), "run", "a dog", 0)
    folder.path.mkdir(parents=True)
    folder.command.write_text("python launch.py prompt=red")
    trainer = partial(Trainer, max_steps=2, max_epochs=-1, logger=False, callbacks=[Stop()], enable_progress_bar=False)
    with pytest.raises(Interrupted, match="Interrupted at once"):
        Fit(make_system(), trainer, "cpu").run(folder, None)


class Break(Callback):
    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: object) -> None:
        torch.nn.init.constant_(next(pl_module.parameters()), float("nan"))
        raise FailedError("no vertex is inside the object")


def test_where_weights_are_not_finite_that_is_the_reason(make_system: Callable[..., TextTo3D], state: Path) -> None:
    with pytest.raises(FailedError, match=r"is not finite after step 3: it was not saved\. Say lower"):
        going_on(make_system(), state, Break())()
