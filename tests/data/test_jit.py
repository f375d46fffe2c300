import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SOURCE = """
from data.jit import cached_njit

@cached_njit(fastmath=True)
def double(x):
    return 2 * x
"""


def imported(folder: Path) -> ModuleType:
    (folder / "kernel.py").write_text(SOURCE)
    spec = importlib.util.spec_from_file_location("kernel", folder / "kernel.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_kernels_are_kept_beside_their_source(tmp_path):
    assert imported(tmp_path).double(21) == 42
    assert list((tmp_path / "__pycache__").glob("kernel.double*.nbi"))


def test_kernels_run_where_no_cache_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "__pycache__").touch()  # a file where numba wants a folder: the same refusal as a read-only place
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    assert imported(tmp_path).double(21) == 42
