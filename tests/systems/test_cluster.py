"""What srun tells the processes that it starts, and what a run makes of it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments import SLURMEnvironment

from systems.command.processes import local_rank
from systems.processes import environment
from tests.conftest import Run

ROOT = Path(__file__).resolve().parents[2]
TASKS = {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_NNODES": "1", "SLURM_JOB_ID": "1234"}
FIRST = {"SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0", "SLURM_STEP_ID": "0"}
STEP = """
import sys
import torch
from systems.torchvision_shim import define_missing_ops
define_missing_ops()
import pytorch_lightning as pl
from data.share import Share
from systems.processes import environment, strategy

class Mean(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.used, self.unused = torch.nn.Parameter(torch.ones(4)), torch.nn.Parameter(torch.ones(1))

    def training_step(self, batch, batch_idx):
        share = Share(self.trainer.global_rank, self.trainer.world_size)
        return share.gather((torch.arange(4.0) * self.used)[share.of(4)]).square().sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def train_dataloader(self):
        return torch.utils.data.DataLoader(torch.zeros(1))

trainer = pl.Trainer(max_steps=1, accelerator="cpu", devices=2, strategy=strategy(2, 1), plugins=environment(),
    logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False)
system = Mean()
trainer.fit(system)
print(type(trainer.strategy.cluster_environment).__name__, trainer.world_size, system.used.tolist())
"""


@pytest.fixture
def srun(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in [name for name in os.environ if name.startswith("SLURM") or name in ("RANK", "LOCAL_RANK")]:
        monkeypatch.delenv(name)
    for name, value in (TASKS | FIRST).items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_a_job_is_not_put_back_into_the_queue(srun: pytest.MonkeyPatch) -> None:
    """Lightning would do so at SIGUSR1, and the same command would run a second time."""
    found = environment()
    assert isinstance(found, SLURMEnvironment) and found.auto_requeue is False
    before = signal.getsignal(signal.SIGUSR1)
    pl.Trainer(accelerator="cpu", logger=False, plugins=found)._signal_connector.register_signal_handlers()
    assert signal.getsignal(signal.SIGUSR1) is before


def test_torchrun_inside_a_job_has_the_last_word(srun: pytest.MonkeyPatch) -> None:
    for name in ("TORCHELASTIC_RUN_ID", "RANK"):
        srun.setenv(name, "0")
    assert environment() is None


def test_a_process_takes_the_gpu_of_its_place_on_the_machine(srun: pytest.MonkeyPatch) -> None:
    srun.setenv("SLURM_LOCALID", "3")
    assert local_rank() == 3
    srun.setenv("LOCAL_RANK", "1")
    assert local_rank() == 1


def test_tasks_that_are_not_the_processes_are_refused(run: Run, srun: pytest.MonkeyPatch) -> None:
    run.accepts("prompt=a red dog", "trainer.devices=2")
    assert "start them with srun --nodes=1 --ntasks-per-node=4; this is a job of 2 tasks, 2 a node" in run.error(
        "prompt=a red dog", "trainer.devices=4"
    )
    srun.delenv("SLURM_NTASKS_PER_NODE")
    assert "2 tasks, any number a node" in run.error("prompt=a red dog", "trainer.devices=2")
    run.accepts("prompt=a red dog")  # one process: the tasks are runs of their own


def test_script_of_a_job_that_forgets_srun_is_told(run: Run, srun: pytest.MonkeyPatch) -> None:
    """Else its one process would wait for the others for ever."""
    srun.delenv("SLURM_STEP_ID")
    said = run.error("prompt=a red dog", "trainer.devices=2")
    assert "start them with srun --nodes=1 --ntasks-per-node=2; this is the script of a job, one process" in said


def test_two_tasks_of_srun_take_one_step(srun: pytest.MonkeyPatch) -> None:
    """As one process would: 2 x^2 for the gradient, and what is unused stays out of it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        srun.setenv("MASTER_PORT", str(free.getsockname()[1]))
    srun.setenv("MASTER_ADDR", "127.0.0.1")
    srun.setenv("GLOO_SOCKET_IFNAME", "lo")
    places = [os.environ | {"SLURM_PROCID": place, "SLURM_LOCALID": place} for place in "01"]
    tasks = [
        subprocess.Popen([sys.executable, "-c", STEP], cwd=ROOT, env=place, stdout=subprocess.PIPE, text=True)
        for place in places
    ]
    expected = (1 - 0.1 * 2 * torch.arange(4.0).square()).tolist()
    for task in tasks:
        said, _ = task.communicate(timeout=200)
        assert task.returncode == 0
        name, world, end = said.splitlines()[-1].split(" ", 2)
        assert (name, world) == ("SLURMEnvironment", "2")
        torch.testing.assert_close(torch.tensor(json.loads(end)), torch.tensor(expected))
