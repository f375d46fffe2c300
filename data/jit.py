"""numba's compiler, set up so that a kernel is compiled once per machine and not once per run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from numba import njit

T = TypeVar("T")


def cached_njit(
    parallel: bool = False, fastmath: bool | set[str] = False
) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """`njit` with its cache: in `__pycache__` beside the kernel, else in the user's cache folder (or NUMBA_CACHE_DIR).

    Where none of them can be written (a read-only container), numba refuses the cache; then each run compiles anew.
    """

    def compile_(kernel: Callable[..., T]) -> Callable[..., T]:
        try:
            return njit(kernel, parallel=parallel, fastmath=fastmath, cache=True)
        except RuntimeError:
            return njit(kernel, parallel=parallel, fastmath=fastmath)

    return compile_
