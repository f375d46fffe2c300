"""Over 300 wrong command lines, configurations and files: each is answered by a sentence; nothing is lost or run."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

import launch
import tests.systems.conftest as small
from systems.command.ending import WENT_WRONG, WRONG_INPUT
from tests.fuzzing import command_lines
from tests.watching import Watch, hashes
from tests.wrong_files import wrong_configs, wrong_files
from tests.wrong_folders import ghostscript, wrong_folders

make_run_folder = small.make_run_folder
PROMPT = "prompt=a red dog"
SEED = 20
Ask = Callable[[list[str]], None]


@pytest.fixture(scope="module")
def watch() -> Watch:
    return Watch()


@pytest.fixture
def ask(
    watch: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Ask]:
    """Gives a command line to the program; fails unless it is refused as it should be."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(ghostscript(tmp_path)), prepend=os.pathsep)

    def check(arguments: list[str]) -> None:
        before = hashes(tmp_path)
        monkeypatch.setattr(sys, "argv", ["launch.py", *arguments])
        watch.seen.clear()
        watch.allowed = tmp_path
        try:
            code = launch.main()
        finally:
            watch.allowed = None
            GlobalHydra.instance().clear()
        said = "".join(capsys.readouterr())
        failure = f"{arguments}\n{said[-2000:]}"
        assert code in (WRONG_INPUT, WENT_WRONG), f"exit code {code}: {failure}"
        assert "Traceback" not in said and "bug in fourview" not in said, failure
        assert any(line.startswith("fourview: ") for line in said.splitlines()), failure
        assert not watch.seen and not list(tmp_path.rglob("canary*")), f"{watch.seen}: {failure}"
        after = hashes(tmp_path)
        assert before.items() <= after.items(), f"lost {before.items() - after.items()}: {failure}"

    yield check


@pytest.mark.parametrize("part", range(5))
def test_a_wrong_command_line_is_refused(ask: Ask, prior: str, part: int) -> None:
    for case, line in enumerate(command_lines(SEED)[part::5]):
        own = [] if any(word.lstrip("~").startswith("prompt") for word in line) else [PROMPT]
        paths = [] if any(word.startswith("prior") for word in line) else [prior]
        ask([*paths, f"folder.variant=case{part}-{case}", *own, *line])


def test_a_wrong_configuration_of_a_past_run_is_refused(
    ask: Ask, prior: str, make_run_folder: Callable[..., Path], tmp_path: Path
) -> None:
    past = shutil.copytree(make_run_folder(), tmp_path / "past")  # with a state, so that it would be built
    file = past / "config.yaml"
    for number, content in enumerate(wrong_configs(SEED, file.read_text(), tmp_path / "canary")):
        file.write_bytes(content)
        about = [["experiment=export", f"run={past}"], [f"init_from={past}", PROMPT], [f"init_from={past}"]][number % 3]
        ask([prior, *about])


def test_a_wrong_file_is_refused(
    ask: Ask,
    prior: str,
    make_run_folder: Callable[..., Path],
    tmp_path: Path,
) -> None:
    for number, (name, arguments) in enumerate(wrong_files(SEED, make_run_folder(), tmp_path)):
        try:
            ask([*([] if "prior.path" in " ".join(arguments) else [prior]), f"name=case-{number}", *arguments])
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from None


def test_a_wrong_folder_is_refused(ask: Ask, prior: str, tmp_path: Path) -> None:
    for number, (name, arguments) in enumerate(wrong_folders(tmp_path)):
        try:
            ask([*([] if "prior.path" in " ".join(arguments) else [prior]), f"name=case-{number}", *arguments])
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from None
