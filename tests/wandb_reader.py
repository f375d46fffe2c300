"""The file that W&B writes offline, read back; its format is LevelDB's log, with a header of its own."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import wandb
from wandb.proto.wandb_internal_pb2 import ConfigItem, HistoryItem, Record, RunRecord, SummaryItem

BLOCK, FILE_HEADER, HEADER = 32768, 7, struct.Struct("<IHB")  # crc, length, type
WHOLE, FIRST, LAST = 1, 2, 4


@dataclass(frozen=True)
class Logged:
    """What one process has sent to one W&B run; history: by step, what was sent at it. A key within a key has a dot."""

    folder: Path
    run: RunRecord
    config: dict[str, object]
    history: dict[int, dict[str, object]]
    summary: dict[str, object]
    exit_code: int | None  # None: it did not end


def records(file: Path) -> Iterator[Record]:
    data, at, parts = file.read_bytes(), FILE_HEADER, b""
    while at + HEADER.size <= len(data):
        if (left := BLOCK - at % BLOCK) < HEADER.size:  # too little for a header
            at += left
            continue
        _, length, kind = HEADER.unpack_from(data, at)
        at += HEADER.size + length
        parts = (b"" if kind in (WHOLE, FIRST) else parts) + data[at - length : at]
        if kind in (WHOLE, LAST):
            yield Record.FromString(parts)


def read(folder: Path) -> Logged:
    """folder: an `offline-run-…`."""
    (file,) = folder.glob("*.wandb")
    all_records = list(records(file))
    of_kind = lambda kind: [getattr(one, kind) for one in all_records if one.WhichOneof("record_type") == kind]
    history: dict[int, dict[str, object]] = {}
    for row in of_kind("history"):
        values = _values(row.item)
        history.setdefault(values.pop("_step"), {}).update(values)
    summary = _values(item for one in of_kind("summary") for item in one.update)
    ends = [one.exit_code for one in of_kind("exit")]
    run = of_kind("run")[0]
    return Logged(folder, run, _values(run.config.update), history, summary, ends[0] if ends else None)


def read_all(run_folder: Path) -> list[Logged]:
    """In the order in which they were begun. This process stops W&B first, which writes on when a run has ended."""
    wandb.teardown()
    return [read(folder) for folder in sorted((run_folder / "wandb").glob("offline-run-*"))]


def _values(items: Iterable[ConfigItem | HistoryItem | SummaryItem]) -> dict[str, object]:
    return {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}
