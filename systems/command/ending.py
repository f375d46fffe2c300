"""How a run can end: the state that it leaves, its exit code, and what its user is told. Without torch."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from data.errors import FailedError, UserError
from data.plain_text import printable
from systems.command import status
from systems.command.faults import causes, fault
from systems.command.run_folder import FinishedError, Interrupted, Requeued, RunFolder
from systems.command.signals import GivenWay
from systems.command.status import FAILED, FINISHED, INTERRUPTED, REQUEUED

DONE, WENT_WRONG, WRONG_INPUT, STOPPED = 0, 1, 2, 130


@dataclass(frozen=True)
class Ending:
    """is_bug: what happened wants a traceback."""

    state: str
    code: int
    reason: str = ""
    is_bug: bool = False


def ending(error: BaseException | None, folder: Path) -> Ending:
    if error is None:
        return Ending(FINISHED, DONE)
    # SystemExit by who has started this process, and will again
    if isinstance(error, Requeued | SystemExit) or any(isinstance(one, GivenWay) for one in causes(error)):
        return Ending(REQUEUED, STOPPED, "Saved, to be started again.")
    if isinstance(error, Interrupted | KeyboardInterrupt):
        return Ending(INTERRUPTED, STOPPED, _first_line(error) or "Interrupted.")
    if wrong := user_error(error):
        return Ending(FAILED, WRONG_INPUT, str(wrong))
    if isinstance(error, FailedError):
        return Ending(FAILED, WENT_WRONG, str(error))
    if said := fault(error, folder):
        return Ending(FAILED, WENT_WRONG, said)
    return Ending(FAILED, WENT_WRONG, f"{type(error).__name__}: {error}", is_bug=True)


def _first_line(error: BaseException) -> str:
    """Without the command that goes on."""
    return str(error).split("\n")[0].removesuffix(" Continue with:")


def user_error(error: BaseException | None) -> UserError | None:
    """The user's mistake behind an exception: Hydra wraps what a constructor raises."""
    while error is not None and not isinstance(error, UserError):
        error = error.__cause__
    return error


def is_finished(error: BaseException) -> bool:
    return isinstance(user_error(error), FinishedError)


@contextmanager
def told(folder: RunFolder) -> Iterator[None]:
    """Writes down how the run of the block ends, and what it has replaced or not."""
    error: BaseException | None = None
    try:
        yield
    except BaseException as caught:
        error = caught
        raise
    finally:
        end = ending(error, folder.path)
        with suppress(OSError):  # of which the user is told by what was being written before
            if folder.path.is_dir():
                status.end(folder.path, end.state, end.code, end.reason)
            folder.settle()


def say(words: object) -> None:
    """Who reads along may have left: `launch.py ... | head`."""
    try:
        print(words, flush=True)
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # else Python complains when it ends


def complain(reason: object) -> None:
    """reason: may quote what others have written."""
    print(f"fourview: {printable(str(reason))}", file=sys.stderr, flush=True)
