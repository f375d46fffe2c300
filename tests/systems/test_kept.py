from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

import pytest
import torch

from systems.training_data.kept import kept


def numbers(path: Path, origin: str, *made: float) -> list[float]:
    """What a run gets that would make these."""
    return kept(path, origin, lambda: {"x": torch.tensor(made)})["x"].tolist()


def contents(folder: Path) -> Iterable[str]:
    return [file.name for file in folder.iterdir()]


def test_it_is_made_once_of_each_origin(tmp_path: Path) -> None:
    file = tmp_path / "new" / "c.pt"
    assert numbers(file, "toys", 1.0) == numbers(file, "toys", 2.0) == [1.0]
    assert numbers(file, "others", 2.0) == numbers(file, "others", 3.0) == [2.0]
    assert contents(file.parent) == ["c.pt"]


@pytest.mark.parametrize("length", [0, 1, 100, -1])
def test_half_a_file_is_made_again_and_said_to_be(
    length: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "c.pt"
    numbers(file, "toys", *range(1000))
    file.write_bytes(file.read_bytes()[:length])
    with caplog.at_level(logging.WARNING):
        assert numbers(file, "toys", 7.0) == [7.0] == numbers(file, "toys", 8.0)
    assert f"{file} cannot be read and is made again" in caplog.text


def test_who_is_stopped_while_writing_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "c.pt"
    numbers(file, "toys", 1.0)

    def stopped(content: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(torch, "save", stopped)
        numbers(file, "others", 2.0)
    assert contents(tmp_path) == ["c.pt"] and numbers(file, "toys", 3.0) == [1.0]
