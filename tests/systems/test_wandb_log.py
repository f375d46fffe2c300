from __future__ import annotations

from pathlib import Path

import pytest

from systems.wandb_log import WandbLog


@pytest.mark.parametrize(("key", "offline"), [(None, True), ("x" * 40, False)])
def test_only_a_user_who_is_logged_in_is_online(
    key: str | None, offline: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    if key:
        monkeypatch.setenv("WANDB_API_KEY", key)
    logger = WandbLog("fourview", "test", str(tmp_path / "runs"))
    assert logger._offline is offline
    assert (tmp_path / "runs").is_dir()
