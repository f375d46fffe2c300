from __future__ import annotations

import csv
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import CSVLogger

from data.errors import UserError
from data.samplers import turntable
from systems.checkpoint import Checkpoint
from systems.command.run_folder import Interrupted, RunFolder
from systems.fit import Fit
from systems.reports.progress import Progress
from systems.schedules import Exponential, Linear, Schedule, Steps
from systems.text_to_3d import TextTo3D

Make = Callable[..., TextTo3D]
MakeTrainer = Callable[..., Trainer]


class StopAt(Callback):
    """Sends this process a signal during the step before `step`."""

    def __init__(self, step: int, number: signal.Signals = signal.SIGINT) -> None:
        self.step, self.number = step, number

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int) -> None:
        if trainer.global_step == self.step - 1:
            signal.raise_signal(self.number)


def test_training_moves_the_renders_towards_what_the_prior_knows(make_system: Make, make_trainer: MakeTrainer) -> None:
    system = make_system(max_steps=20)
    cameras = turntable(4, size=8)
    before = system.look(cameras).rgb.mean(dim=(0, 1, 2))
    make_trainer(max_steps=20).fit(system)
    after = system.look(cameras).rgb.mean(dim=(0, 1, 2))
    assert after[0] > before[0] and after[1] < before[1]


def test_interrupted_and_resumed_run_equals_the_uninterrupted_one(
    make_system: Make, make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    whole = make_system()
    make_trainer().fit(whole)

    with pytest.raises(Interrupted):
        make_trainer(Checkpoint(), StopAt(3)).fit(make_system())
    resumed = make_system()
    trainer = make_trainer(Checkpoint())
    trainer.fit(resumed, ckpt_path=tmp_path / "checkpoints" / "last.ckpt", weights_only=True)

    assert trainer.global_step == 6
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_finishes_the_step_saves_and_tells_how_to_continue(
    make_system: Make, make_trainer: MakeTrainer, tmp_path: Path, number: signal.Signals
) -> None:
    with pytest.raises(Interrupted, match=r"after step 2 of 6(.|\n)*python launch.py prompt=red$"):
        make_trainer(Checkpoint(), StopAt(2, number)).fit(make_system())
    saved = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["global_step"] == 2
    assert [file.name for file in (tmp_path / "checkpoints").iterdir()] == ["last.ckpt"]


def test_checkpoints_are_written_as_time_passes(make_system: Make, make_trainer: MakeTrainer, tmp_path: Path) -> None:
    class Look(Callback):
        def on_train_batch_end(self, *_: object) -> None:
            assert (tmp_path / "checkpoints" / "last.ckpt").exists()

    make_trainer(Checkpoint(every_seconds=1e-9), Look()).fit(make_system())


def test_prior_is_neither_trained_nor_saved(make_system: Make) -> None:
    system = make_system()
    names = [name for name, _ in system.named_parameters()] + list(system.state_dict())
    assert all(name.startswith(("scene.", "renderer.")) for name in names)


def test_longest_fitting_name_gives_the_learning_rate(make_system: Make) -> None:
    system = make_system(learning_rates={"geometry": 0.1, "geometry.network": 0.2})
    rates = {
        id(parameter): group["lr"]
        for group in system.configure_optimizers().param_groups
        for parameter in group["params"]
    }
    assert {rates[id(p)] for p in system.scene.geometry.network.parameters()} == {0.2}
    assert {rates[id(p)] for p in system.scene.geometry.encoding.parameters()} == {0.1}


def test_parameter_without_a_learning_rate_is_an_error(make_system: Make) -> None:
    with pytest.raises(UserError, match=r"has none for geometry\.encoding"):
        make_system(learning_rates={"geometry.network": 0.2}).configure_optimizers()


def test_learning_rates_follow_their_schedule(make_system: Make, make_trainer: MakeTrainer) -> None:
    rates = {"geometry": 0.1, "geometry.network": 0.2}
    system = make_system(max_steps=4, learning_rates=rates, schedules={"lr_factor": Exponential(1.0, 0.0001)})
    make_trainer(max_steps=4).fit(system)
    last = [group["lr"] for group in system.trainer.optimizers[0].param_groups]
    assert last == pytest.approx([0.1 * 0.001, 0.2 * 0.001])


def test_schedules_follow_the_step_alone(make_system: Make) -> None:
    system = make_system()
    system.begin_step(3)
    assert system.guidance.max_t == pytest.approx(0.74)
    assert system.sampler.size == 12


def test_schedule_of_an_unknown_attribute_names_the_nearest(make_system: Make) -> None:
    with pytest.raises(UserError, match=r"guidance\.maxt; did you mean max_t"):
        make_system(schedules={"guidance.maxt": Linear(0.98, 0.5)})


def test_checkpoint_of_another_scene_is_refused(make_system: Make, make_trainer: MakeTrainer, tmp_path: Path) -> None:
    make_trainer(Checkpoint(), max_steps=1).fit(make_system())
    with pytest.raises(UserError, match=r"another scene .scene\.geometry\.encoding"):
        make_trainer().fit(make_system(levels=3), ckpt_path=tmp_path / "checkpoints" / "last.ckpt", weights_only=True)


@pytest.mark.parametrize("content", [b"no archive", b"state"])
def test_file_that_is_no_checkpoint_is_refused(
    make_system: Make, make_trainer: MakeTrainer, tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "other.pt"
    torch.save({"weights": torch.zeros(2)}, file) if content == b"state" else file.write_bytes(content)
    fit = Fit(make_system(), lambda **_: make_trainer(), device="cpu")
    with pytest.raises(UserError, match=r"resume: .*other\.pt"):
        fit.run(RunFolder(str(tmp_path), "run", "red", 0), file)


def test_batch_must_hold_whole_objects(make_system: Make) -> None:
    with pytest.raises(UserError, match=r"system\.batch_size=6 must be a multiple of 4"):
        make_system(batch_size=6)


def test_nested_schedules_and_rates_are_found_by_their_paths(make_system: Make) -> None:
    rates = {"geometry": {"encoding": 0.05, "network": 0.01}}
    system = make_system(schedules={"guidance": {"max_t": Linear(0.98, 0.5)}}, learning_rates=rates)
    system.begin_step(3)
    assert system.guidance.max_t == pytest.approx(0.74)
    assert system.learning_rates == {"geometry.encoding": 0.05, "geometry.network": 0.01}


def test_metrics_hold_a_value_only_in_the_step_that_logged_it(
    make_system: Make, make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    class SecondStep(Callback):
        def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, *_: object) -> None:
            if trainer.global_step == 1:
                pl_module.log("rare", 7.0)

    make_trainer(SecondStep(), Progress()).fit(make_system())
    with (tmp_path / "metrics.csv").open() as table:
        rows = list(csv.DictReader(table))
    assert [row["rare"] for row in rows] == ["", "7", "", "", "", ""]
    assert all(row["loss"] for row in rows)


@pytest.mark.parametrize(("every", "steps"), [(3, [2, 5]), (4, [3, 5])])
def test_a_logger_gets_what_the_table_gets_every_few_steps_and_at_the_last(
    every: int, steps: list[int], make_system: Make, make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    trainer = make_trainer(Progress(send_every=every))
    trainer.logger = CSVLogger(str(tmp_path / "sent"), "", "")
    trainer.fit(make_system())
    trainer.logger.save()
    with (tmp_path / "metrics.csv").open() as table:
        rows = list(csv.DictReader(table))
    with Path(trainer.logger.log_dir, "metrics.csv").open() as table:
        sent = list(csv.DictReader(table))
    assert [int(row["step"]) for row in sent] == steps
    for name in ("loss", "loss/guidance", "opacity"):
        assert [float(row[name]) for row in sent] == pytest.approx([float(rows[i][name]) for i in steps], rel=1e-4)


def test_signals_mean_what_they_meant_after_an_interrupted_run(
    make_system: Make, make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    fit = Fit(make_system(), lambda **_: make_trainer(Checkpoint(), StopAt(2)), device="cpu")
    with pytest.raises(Interrupted):
        fit.run(RunFolder(str(tmp_path), "run", "red", 0), None)
    assert signal.getsignal(signal.SIGTERM) == before


def test_metrics_have_one_row_per_step_also_after_a_resume(
    make_system: Make, make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    with pytest.raises(Interrupted):
        make_trainer(Progress(), Checkpoint(), StopAt(3)).fit(make_system())
    progress = Progress()
    last = tmp_path / "checkpoints" / "last.ckpt"
    make_trainer(progress, Checkpoint()).fit(make_system(), ckpt_path=last, weights_only=True)
    header, *rows = (tmp_path / "metrics.csv").read_text().splitlines()
    assert {"step", "seconds", "loss", "loss/guidance", "loss/opacity", "opacity"} <= set(header.split(","))
    assert [row.split(",")[0] for row in rows] == ["0", "1", "2", "3", "4", "5"]
    assert progress.seconds > progress.seconds_before > 0


def test_scheduled_batches_are_rendered_at_their_sizes(
    make_system: Make, make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedules = {"batch_size": Steps([8, 4], [0.5]), "sampler.size": Steps([8, 12], [0.5])}
    system = make_system(max_steps=4, schedules=schedules, batch_size=8)
    shapes: list[tuple[int, ...]] = []
    guide = system.guidance
    system.guidance = lambda images, *others: shapes.append(tuple(images.shape[:2])) or guide(images, *others)
    make_trainer(max_steps=4).fit(system)
    assert shapes == [(8, 8), (8, 8), (4, 12), (4, 12)]


@pytest.mark.parametrize("schedule", [Steps([8, 6], [0.5]), Linear(8.0, 4.0)])
def test_scheduled_batches_must_hold_whole_objects(make_system: Make, schedule: Schedule) -> None:
    with pytest.raises(UserError, match=r"system\.schedules\.batch_size=\d.* must be a multiple of 4"):
        make_system(schedules={"batch_size": schedule})


def test_field_grows_finer_by_schedule(make_system: Make) -> None:
    system = make_system(schedules={"scene.geometry.encoding.active_levels": Steps([1, 2], [0.5])})
    levels = []
    for step in (2, 3):
        system.begin_step(step)
        levels.append(system.scene.geometry.encode(torch.full((1, 3), 0.1)).count_nonzero().item())
    assert levels == [2, 4]


def test_no_weight_decay_makes_adam_of_adamw(make_system: Make) -> None:
    system = make_system()
    system.weight_decay = 0.0
    own, twin = system.configure_optimizers(), make_system()
    adam = torch.optim.Adam([{"params": list(twin.scene.parameters())}], lr=0.05, betas=(0.9, 0.99), eps=1e-15)
    for group in own.param_groups:
        group["lr"] = 0.05
    for _ in range(3):
        for scene, optimiser in ((system.scene, own), (twin.scene, adam)):
            optimiser.zero_grad()
            sum(parameter.square().sum() for parameter in scene.parameters()).backward()
            optimiser.step()
    for ours, theirs in zip(system.scene.parameters(), twin.scene.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)
