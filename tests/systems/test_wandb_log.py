from __future__ import annotations

import logging
import os
import shlex
import signal
import sys
import time
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch.distributed as dist
import wandb
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import CSVLogger

from systems.command.run_folder import Interrupted, RunFolder
from systems.reports.provenance import write_whole
from systems.reports.tables import Figure, Table
from systems.reports.wandb_log import WandbLog, _logged_in, send_picture
from tests.wandb_reader import read_all

CONFIG = OmegaConf.create({"prompt": "a dog", "seed": 3, "scene": {"width": 8, "rates": [0.5, 0.25]}, "name": "test"})


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return opened(tmp_path, CONFIG)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    iio.imwrite(tmp_path / "000500.png", np.zeros((4, 8, 3), np.uint8))
    return tmp_path / "000500.png"


def opened(output: Path, config: DictConfig) -> RunFolder:
    """As launch.py leaves it to a job, but for the log."""
    folder = RunFolder(str(output), "test", "a dog", 3)
    folder.path.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(config, folder.config)
    folder.command.write_text('python launch.py prompt="a dog" seed=3\n')
    return folder


@pytest.mark.parametrize(("key", "expected"), [(None, False), ("x" * 40, True)])
def test_only_a_user_who_is_logged_in_is_online(
    key: str | None, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    assert not _logged_in()
    if key:
        monkeypatch.setenv("WANDB_API_KEY", key)
    assert _logged_in() is expected
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    (tmp_path / ".netrc").write_text(f"machine api.wandb.ai login user password {key}\n" if key else "")
    (tmp_path / ".netrc").chmod(0o600)
    assert _logged_in() is expected


def test_without_credentials_it_is_offline_and_the_line_that_sends_it_is_said(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WANDB_MODE")
    with caplog.at_level(logging.INFO):
        log = WandbLog("fourview", folder)
        log.log_metrics({"loss": 1.0}, 0)
        log.finalize("success")
    *command, place = shlex.split(caplog.messages[-1].splitlines()[-1])
    assert command == ["wandb", "sync"] and [Path(place)] == [one.folder for one in read_all(folder.path)]


def test_an_empty_mode_is_none(folder: RunFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_MODE", "")
    wandb.teardown()  # it has read the environment already
    log = WandbLog("fourview", folder)
    log.log_metrics({"loss": 1.0}, 0)
    log.finalize("success")
    assert read_all(folder.path)[0].history[0]["loss"] == 1.0


def test_what_is_sent_can_be_read_back(folder: RunFolder, picture: Path) -> None:
    log = WandbLog("mine", folder, entity="us", group="sweep", tags=["draft", "green"])
    log.log_metrics({"loss": 0.5}, 498)
    log.log_metrics({"loss": 0.25, "clip_score": 31.0}, 499)
    send_picture([CSVLogger(picture.parent), log], "samples", picture, 499)
    figures = {"steps": 500, "psnr": 26.5, "device": "cpu", "clip_score": 32.5, "of": [1], "janus_front_arcs": None}
    write_whole(folder.metrics, figures)
    log.finalize("success")
    (sent,) = read_all(folder.path)
    assert (sent.run.project, sent.run.entity, sent.run.run_group) == ("mine", "us", "sweep")
    assert list(sent.run.tags) == ["draft", "green"] and sent.run.display_name == "a-dog-3" and sent.exit_code == 0
    assert sent.config.items() >= OmegaConf.to_container(CONFIG).items()
    assert sent.history[498]["loss"] == 0.5 and sent.history[499]["clip_score"] == 32.5  # the end of its curve
    assert "psnr" not in sent.history[499] and "janus_front_arcs" not in sent.history[499]
    assert sent.history[499]["samples._type"] == "image-file"
    assert (sent.folder / "files" / sent.history[499]["samples.path"]).read_bytes() == picture.read_bytes()
    assert sent.summary["psnr"] == 26.5 and sent.summary["of"] == [1]
    table = (sent.folder / "files" / sent.history[499]["metrics.path"]).read_text()
    assert '["run","steps","psnr","device","clip_score"]' in table and '["a-dog-3",500,26.5,"cpu",32.5]' in table


def test_the_environment_is_there_and_its_secrets_are_not(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "12")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    log = WandbLog("fourview", folder)
    log.log_metrics({"loss": 1.0}, 0)
    log.finalize("success")
    (sent,) = read_all(folder.path)
    found = sent.config["environment"]
    assert found["python"] == ".".join(map(str, sys.version_info[:3])) and found["slurm_job"] == "12_3"
    assert found["packages"]["wandb"] == wandb.__version__ and "torch" in found["packages"]
    assert found["command"] == 'python launch.py prompt="a dog" seed=3'
    assert found["commit"] is None or found["commit"].startswith(found["version"].split("+")[1])
    assert not any(b"hf_secret" in file.read_bytes() for file in sent.folder.rglob("*") if file.is_file())


def test_a_table_of_runs_has_its_figures_and_its_sheet(folder: RunFolder, picture: Path) -> None:
    table = Table(["IoU"], {"sds": {"IoU": Figure(0.5)}, "mv_sds": {"IoU": Figure(0.75)}}, "setting")
    WandbLog("fourview", folder).show_table("settings", table, {"runs": 2}, {"sheet": picture})
    (sent,) = read_all(folder.path)
    row = {name: value for one in sent.history.values() for name, value in one.items()}
    written = (sent.folder / "files" / row["settings.path"]).read_text()
    assert '["setting","IoU"]' in written and '["mv_sds","0.750"]' in written
    assert (sent.folder / "files" / row["sheet.path"]).exists() and sent.summary["runs"] == 2


def test_a_run_that_goes_on_is_the_same_wandb_run(
    folder: RunFolder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for step, status in ((0, "failed"), (10, "success")):
        log = WandbLog("fourview", RunFolder(str(tmp_path), "test", "a dog", 3))
        with caplog.at_level(logging.INFO):
            log.log_metrics({"loss": 1.0}, step)
            log.finalize(status)
    said = caplog.messages[-1]
    first, second = read_all(folder.path)
    assert first.run.run_id == second.run.run_id == (folder.path / "wandb_id.txt").read_text()
    assert (first.exit_code, second.exit_code) == (1, 0)
    assert (list(first.history), list(second.history)) == ([0], [10])
    assert said.endswith(shlex.join(["wandb", "sync", "--append", str(first.folder), str(second.folder)]))


def test_jobs_of_a_sweep_in_one_process_are_runs_of_one_group(tmp_path: Path) -> None:
    for seed in range(2):
        folder = RunFolder(str(tmp_path), "sweep", "a dog", seed, variant="guidance=sds")
        log = WandbLog("fourview", folder, group="sweep")
        log.log_metrics({"loss": 1.0}, 0)
        log.finalize("success")
    found = [read_all(place)[0].run for place in sorted((tmp_path / "sweep" / "guidance=sds").iterdir())]
    assert [run.display_name for run in found] == ["guidance=sds/a-dog-0", "guidance=sds/a-dog-1"]
    assert found[0].run_id != found[1].run_id and {run.run_group for run in found} == {"sweep"}


def test_a_run_goes_on_without_wandb(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    goes_on_with_one_warning(folder, caplog)


def test_a_run_goes_on_when_wandb_cannot_begin(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def cannot(**settings: object) -> None:
        raise RuntimeError("2 errors\n  no more disk\nmore\nFile x, line 3")

    monkeypatch.setattr(wandb, "init", cannot)
    assert "W&B fails (2 errors no more disk more):" in goes_on_with_one_warning(folder, caplog)


def goes_on_with_one_warning(folder: RunFolder, caplog: pytest.LogCaptureFixture) -> str:
    log = WandbLog("fourview", folder)
    with caplog.at_level(logging.INFO):
        for step in range(3):
            log.log_metrics({"loss": 1.0}, step)
        log.finalize("success")
    (said,) = caplog.messages
    assert "nothing more is sent" in said and "metrics.csv" in said and "\n" not in said
    return said


def test_a_run_goes_on_when_wandb_dies_in_the_middle_and_the_next_has_it_again(
    folder: RunFolder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = WandbLog("fourview", folder)
    log.log_metrics({"loss": 1.0}, 0)
    os.kill(pid_of_wandb(), signal.SIGKILL)
    for step in range(1, 50):
        log.log_metrics({"loss": 1.0}, step)
        time.sleep(0.01)
    log.finalize("success")
    assert sum("nothing more is sent" in said for said in caplog.messages) == 1
    again = WandbLog("fourview", RunFolder(str(tmp_path), "test", "a dog", 4))
    again.log_metrics({"loss": 2.0}, 0)
    again.finalize("success")
    assert read_all(again.folder.path)[0].history[0]["loss"] == 2


def pid_of_wandb() -> int:
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    (pid,) = (pid for pid in children if b"wandb-core" in Path(f"/proc/{pid}/cmdline").read_bytes())
    return int(pid)


def test_a_server_that_is_down_leaves_an_offline_run(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("systems.reports.wandb_log.PATIENCE", 1.0)
    wandb.teardown()  # it has read the environment already
    with caplog.at_level(logging.INFO):
        log = WandbLog("fourview", folder)
        log.log_metrics({"loss": 0.5}, 7)
        log.finalize("success")
    said = [record.getMessage() for record in caplog.records if record.name == "systems.reports.wandb_log"]
    assert len(said) == 2 and "recorded offline" in said[0] and "wandb sync" in said[1]
    assert read_all(folder.path)[0].history[7]["loss"] == 0.5


def test_the_wish_to_stop_is_not_taken_for_a_fault_of_wandb(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(**settings: object) -> None:
        raise Interrupted("at once")

    monkeypatch.setattr(wandb, "init", stop)
    with pytest.raises(Interrupted):
        WandbLog("fourview", folder).log_metrics({"loss": 1.0}, 0)


def test_only_the_first_process_of_a_run_logs(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "get_rank", lambda: 1)
    log = WandbLog("fourview", folder)
    log.log_metrics({"loss": 1.0}, 0)
    log.finalize("success")
    assert not (folder.path / "wandb").exists() and not (folder.path / "wandb_id.txt").exists()


@pytest.mark.parametrize(
    ("key", "wanted"),
    [("tags=draft", "must be"), ("entity=5", "must be"), ("projekt=x", "projekt"), ("group=[a]", "a")],
)
def test_a_wrong_key_is_told_before_the_run(run, key: str, wanted: str) -> None:
    said = run.error("prompt=a red dog", "logger=wandb", f"trainer.logger.{key}")
    assert f"trainer.logger.{key.split('=')[0]}" in said and wanted in said


def test_its_keys_are_accepted(run) -> None:
    keys = ["project=p", "entity=us", "group=g", "tags=[a,b]"]
    run.accepts("prompt=a red dog", "logger=wandb", *(f"trainer.logger.{key}" for key in keys))
