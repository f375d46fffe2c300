from __future__ import annotations

from pathlib import Path

import pytest
from pytorch_lightning.loggers import CSVLogger

from systems.command.run_folder import RunFolder
from systems.reports.wandb_log import WandbLog, send_picture

FOLDER = lambda output: RunFolder(str(output), "test", "a dog", 3)


@pytest.mark.parametrize(("key", "offline"), [(None, True), ("x" * 40, False)])
def test_only_a_user_who_is_logged_in_is_online(
    key: str | None, offline: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    if key:
        monkeypatch.setenv("WANDB_API_KEY", key)
    assert WandbLog("fourview", "test", FOLDER(tmp_path))._offline is offline


def test_a_run_is_named_after_its_prompt_and_resumes_as_the_same_run(tmp_path: Path) -> None:
    first, again = (WandbLog("fourview", "test", FOLDER(tmp_path)) for _ in range(2))
    assert first._wandb_init["name"] == "a-dog-3"
    assert first.version == again.version
    assert (tmp_path / "test" / "a-dog-3").is_dir()


def test_a_picture_on_the_way_is_sent_with_its_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = []
    monkeypatch.setattr(WandbLog, "log_image", lambda self, *what: sent.append(what))
    loggers = [CSVLogger(tmp_path), WandbLog("fourview", "test", FOLDER(tmp_path))]
    send_picture(loggers, "samples", tmp_path / "000500.png", 499)
    assert sent == [("samples", [str(tmp_path / "000500.png")], 499)]
