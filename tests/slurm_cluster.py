"""A real SLURM of two nodes on this machine, without accounting, for as long as the tests take."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

NODES = ("n1", "n2")
DAEMONS = ("slurmctld", "slurmd")
CLIENTS = ("sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo")
PORTS = 17817
CONFIG = """
ClusterName=itest
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/none
CredType=cred/none
AuthInfo=cred_expire=5
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmctldPort={port}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=0
EnforcePartLimits=ALL
ReturnToService=2
KillWait=5
AccountingStorageType=accounting_storage/none
SlurmdParameters=config_overrides
NodeName=n[1-2] NodeHostname=localhost NodeAddr=127.0.0.1 Port=[{first}-{last}] CPUs=2 RealMemory=16000 State=UNKNOWN
PartitionName=debug Nodes=n[1-2] Default=YES MaxTime=INFINITE State=UP
"""


class Cluster:
    """folder: of its state and logs. `env` is what a command needs that talks to it."""

    def __init__(self, folder: Path, port: int = PORTS) -> None:
        self.folder = folder
        self.file = folder / "slurm.conf"
        self.env = os.environ | {"SLURM_CONF": str(self.file)}
        for name in ("state", "log", *(f"spool-{node}" for node in NODES)):
            (folder / name).mkdir(parents=True)
        text = CONFIG.format(folder=folder, port=port, first=port + 4, last=port + 5)
        self.file.write_text(text.lstrip())

    def start(self) -> None:
        self.start_controller()
        for node in NODES:
            self._call("slurmd", "-f", str(self.file), "-N", node)
        self.wait_until(lambda: self.states() == ["idle"] * len(NODES), "its nodes are idle")

    def stop(self) -> None:
        self._call("scancel", f"--user={os.getuid()}", check=False)
        for node in NODES:
            self._end(f"slurmd-{node}")
        self.stop_controller()

    def start_controller(self) -> None:
        self._call("slurmctld", "-f", str(self.file))
        self.wait_until(lambda: bool(self.states()), "its controller answers")

    def stop_controller(self) -> None:
        self._end("slurmctld")

    def drain(self, node: str) -> None:
        """Nothing starts there any more; what runs, ends."""
        self._call("scontrol", "update", f"nodename={node}", "state=drain", "reason=test")

    def resume(self, node: str) -> None:
        self._call("scontrol", "update", f"nodename={node}", "state=resume")

    def requeue(self, job: str) -> None:
        """As SLURM does with a job that gives way to another."""
        self._call("scontrol", "requeue", job)

    def signal(self, job: str, name: str) -> None:
        self._call("scancel", f"--signal={name}", job)

    def queue(self) -> dict[str, str]:
        """State by task: `{"12_3": "RUNNING"}`."""
        said = self._call("squeue", "--noheader", "--array", "--format=%i %T").split("\n")
        return dict(line.split() for line in said if line.strip())

    def states(self) -> list[str]:
        """Of the nodes; none while the controller does not answer."""
        return self._call("sinfo", "--noheader", "--Node", "--format=%t", check=False).split()

    def wait_until(self, holds, what: str, seconds: float = 30.0) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                raise TimeoutError(f"SLURM: not within {seconds:.0f} s: {what}")
            time.sleep(0.1)

    def _call(self, *command: str, check: bool = True) -> str:
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=30)
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def _end(self, daemon: str) -> None:
        """By its pid file, which it removes last."""
        file = self.folder / f"{daemon}.pid"
        if not file.exists():
            return
        pid = int(file.read_text())
        os.kill(pid, signal.SIGTERM)
        self.wait_until(lambda: not Path(f"/proc/{pid}").exists(), f"{daemon} has ended")


def missing() -> str:
    """Why there can be none here; empty if there can."""
    if lacking := [name for name in (*DAEMONS, *CLIENTS) if shutil.which(name) is None]:
        return f"{lacking[0]} is not installed"
    return "" if os.getuid() == 0 else "its daemons, as set up here, need root"


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if why := missing():
        pytest.skip(f"no SLURM: {why}")
    cluster = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        cluster.start()
    except (RuntimeError, TimeoutError, subprocess.TimeoutExpired) as error:
        cluster.stop()
        pytest.skip(f"no SLURM: {error}")
    yield cluster
    cluster.stop()
